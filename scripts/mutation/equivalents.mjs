/** Changes that change nothing that anybody could see, each with the reason. They are known by their text. */

const EQUIVALENT = [];

/** The reason, or undefined. */
export const whyEquivalent = ({ path, from, to }) =>
  EQUIVALENT.find((known) => path.endsWith(known.path) && known.from === from && known.to === to)?.why;
