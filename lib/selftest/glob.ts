/** Shell patterns for names: `*` is any text, `?` one character; the whole name must match. */

export function matches(pattern: string, name: string): boolean {
  const source = pattern
    .replace(/[\\^$.+()|[\]{}]/g, '\\$&')
    .replaceAll('*', '.*')
    .replaceAll('?', '.');
  return new RegExp(`^${source}$`, 's').test(name);
}
