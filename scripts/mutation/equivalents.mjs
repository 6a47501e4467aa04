/** Changes that change nothing that anybody could see, each with the reason. They are known by their text. */

const EQUIVALENT = [
  {
    path: 'guest-memfd/huge-pages.ts',
    from: 'start >= end',
    to: 'start > end',
    why: 'a range without pages begins and ends at the border of a huge page, where there is nothing to find either',
  },
];

/** The reason, or undefined. */
export const whyEquivalent = ({ path, from, to }) =>
  EQUIVALENT.find((known) => path.endsWith(known.path) && known.from === from && known.to === to)?.why;
