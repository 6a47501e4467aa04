/** Changes that change nothing that anybody could see, each with the reason. They are known by their text, and their line's. */

const NEVER_ZERO = 'at least one page is done, or it is an errno: 0 it never is';

const EQUIVALENT = [
  {
    path: 'guest-memfd/huge-pages.ts',
    from: 'start >= end',
    to: 'start > end',
    why: 'a range without pages begins and ends at the border of a huge page, where there is nothing to find either',
  },
  {
    path: 'guest-memfd/punch-hole.ts',
    from: 'end > wholeStart',
    to: 'end >= wholeStart',
    why: 'where the hole ends with its first part, what is left behind it has no pages',
  },
  {
    path: 'platform/snp/snp-launch.ts',
    within: 'if (done < 0) {',
    from: 'done < 0',
    to: 'done <= 0',
    why: NEVER_ZERO,
  },
  {
    path: 'platform/snp/snp-launch.ts',
    within: 'if (done < 0) {',
    from: '0',
    to: '1',
    why: NEVER_ZERO,
  },
];

/** The reason, or undefined. */
export const whyEquivalent = (mutant) =>
  EQUIVALENT.find(
    ({ path, within = mutant.within, from, to }) =>
      mutant.path.endsWith(path) && within === mutant.within && from === mutant.from && to === mutant.to,
  )?.why;
