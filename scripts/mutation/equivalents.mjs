/** Changes that change nothing that anybody could see, each with the reason. They are known by their text. */

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
];

/** The reason, or undefined. */
export const whyEquivalent = ({ path, from, to }) =>
  EQUIVALENT.find((known) => path.endsWith(known.path) && known.from === from && known.to === to)?.why;
