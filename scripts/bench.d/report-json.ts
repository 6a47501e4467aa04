/** The figures for programs: flat, so that a line of jq finds one. */

import type { Report } from './report.ts';
import type { Spread } from './statistics.ts';

const flat = (name: string, spread: Spread | undefined): Record<string, number> =>
  spread ? { [`${name}Median`]: spread.median, [`${name}P10`]: spread.p10, [`${name}P90`]: spread.p90 } : {};

export function toJson({ machine, targets, results, mock }: Report): string {
  const document = {
    machine,
    targets,
    results: results.map(({ ns, ratio, ...rest }) => ({ ...rest, ...flat('ns', ns), ...flat('ratio', ratio) })),
    mock: mock.map(({ ns, growth, ...rest }) => ({ ...rest, ...flat('ns', ns), ...flat('growth', growth) })),
  };
  return `${JSON.stringify(document, null, 2)}\n`;
}
