/** Findings for people: aligned, and each missing thing with its fix below it. */

import type { Section } from './examine.ts';
import type { Finding } from './finding.ts';

const MARKS: Record<Finding['status'], string> = { ok: 'ok', missing: 'missing', info: '' };

export function findingsText(sections: readonly Section[]): string {
  return sections.map(({ title, findings }) => [title, ...findings.flatMap(lines(findings))].join('\n')).join('\n\n');
}

function lines(all: readonly Finding[]): (finding: Finding) => string[] {
  const width = Math.max(...all.map(({ name }) => name.length));
  return ({ name, status, value, fix }) => {
    const mark = MARKS[status].padEnd(7);
    const line = `  ${mark}  ${name.padEnd(width)}  ${value}`;
    return fix ? [line, `${' '.repeat(width + 13)}-> ${fix}`] : [line];
  };
}
