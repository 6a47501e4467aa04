/** A table of calls and the answers they are to have; observer.ts says what the calls are. */

export interface Section {
  readonly title: string;
  readonly lines: readonly { readonly number: number; readonly call: string; readonly wanted: string }[];
}

export function readTable(text: string): Section[] {
  const sections: { title: string; lines: Section['lines'][number][] }[] = [];
  for (const [index, line] of text.split('\n').entries()) {
    const [call = '', wanted] = line.split('=>').map((part) => part.trim());
    if (line.startsWith('## ')) sections.push({ title: line.slice(3), lines: [] });
    else if (!line.startsWith('#') && wanted !== undefined)
      sections.at(-1)!.lines.push({ number: index + 1, call, wanted });
  }
  return sections;
}
