/** The pages that a file has: its page cache. A file's pages are single ones, or they come as huge pages. */

import type { Folio } from '../memory.ts';
import type { PageRange } from '../ranges.ts';

export interface Filemap {
  /** Pages that st_blocks counts. */
  readonly accounted: number;
  /** The page, where the file has it. */
  get(page: number): Folio | undefined;
  /** What the folio with this page covers: the page alone, or a huge page that is not split. */
  folioRange(page: number): PageRange;
  /** Gets memory for a page that the file does not have: what was added, or -errno. */
  allocate(page: number): PageRange | number;
  /** The pages of [start, end) that somebody may have written or hold, in file order. */
  within(start: number, end: number): Iterable<[page: number, folio: Folio]>;
  /** The parts of a range for which the file has memory. */
  allocated(range: PageRange): Iterable<PageRange>;
  /**
   * Lets go of the folios that lie in the range. A page that is pinned lives on with its pinner; the file is done with
   * it.
   */
  drop(range: PageRange): void;
}
