import { describe, expect, it } from 'vitest';
import { optionsHelp, parseOptions, UsageError } from '../../lib/cli/options.ts';

const options = {
  list: { short: 'l', help: 'lists' },
  test: { short: 't', value: 'PATTERN', many: true, help: 'chooses' },
  kernel: { value: 'NAME', words: ['old', 'new'], help: 'the kernel' },
} as const;

describe('parseOptions', () => {
  it('reads switches, values and lists', () => {
    expect(parseOptions(['-l', '-t', 'a*', '--test=b', '--kernel', 'new'], options)).toEqual({
      list: true,
      test: ['a*', 'b'],
      kernel: 'new',
    });
    expect(parseOptions([], options)).toEqual({});
  });

  it.each([
    ['an unknown option', ['--tset', 'a'], /^Unknown option '--tset'$/],
    ['a value that is missing', ['-t'], /argument missing/],
    ['a value for a switch', ['--list=yes'], /does not take an argument/],
    ['a word that is none of an option', ['--kernel', 'newer'], /^unknown kernel 'newer'; there is old, new$/],
    ['a stray argument', ['case-name'], /^Unexpected argument 'case-name'/],
  ])('refuses %s', (_, argv, message) => {
    expect(() => parseOptions(argv, options)).toThrow(UsageError);
    expect(() => parseOptions(argv, options)).toThrow(message);
  });
});

it('optionsHelp shows every option with its short form, value and words', () => {
  expect(optionsHelp(options)).toBe(
    [
      '  -l, --list                lists',
      '  -t, --test PATTERN        chooses',
      '                            (repeatable)',
      '      --kernel NAME         the kernel',
      '                            (old, new)',
    ].join('\n'),
  );
});
