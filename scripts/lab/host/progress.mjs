// @ts-check
/**
 * One line about work that takes long: rewritten in place on a terminal, printed again now and then elsewhere.
 * @param {() => string} text what to show
 * @param {{ stream?: NodeJS.WriteStream, every?: number }} [options]
 * @returns {{ stop: () => void }}
 */
export function showProgress(text, { stream = process.stderr, every = stream.isTTY ? 250 : 15_000 } = {}) {
  const begun = Date.now();
  const line = () => `lab: ${text()}, ${elapsed(Date.now() - begun)}`;
  const draw = () => stream.write(stream.isTTY ? `\r${line()}\x1b[K` : `${line()}\n`);
  const timer = setInterval(draw, every);
  if (stream.isTTY) draw();
  return {
    stop() {
      clearInterval(timer);
      stream.write(stream.isTTY ? `\r${line()}\x1b[K\n` : `${line()}\n`);
    },
  };
}

/**
 * @param {number} milliseconds
 * @returns {string} minutes and seconds, as 3:07
 */
export function elapsed(milliseconds) {
  const seconds = Math.round(milliseconds / 1000);
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`;
}
