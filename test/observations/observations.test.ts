/** The mock gives the answers of the table, which a real kernel gives to observe.c (scripts/lab/lab test observations). */

import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { Observer } from './observer.ts';
import { readTable } from './table.ts';

const table = readTable(readFileSync(new URL('rfc-convert.txt', import.meta.url), 'utf8'));

describe('rfc-convert.txt', () => {
  it.each(table)('$title', ({ lines }) => {
    const observer = new Observer({ kernel: 'rfc-v2', hugePages: false });
    try {
      const answers = lines.map(
        ({ number, call, wanted }) => `${number}: ${call} => ${observer.observe(call) ?? wanted}`,
      );
      expect(answers).toEqual(lines.map(({ number, call, wanted }) => `${number}: ${call} => ${wanted}`));
    } finally {
      observer.close();
    }
  });
});
