/** The cases of conversion: the requests, what they do to memory, and who sees it how. */

import type { AnyCase } from '../case.ts';
import { withHugePages } from '../huge.ts';
import { cases as conversionsTest } from './conversions-test.ts';
import { cases as conversionsTestOthers, sized as conversionsTestSized } from './conversions-test-others.ts';
import { cases as atomicity } from './convert-atomicity.ts';
import { cases as content } from './convert-content.ts';
import { cases as efault } from './convert-efault.ts';
import { cases as fork } from './convert-fork.ts';
import { cases as guest } from './convert-guest.ts';
import { cases as host } from './convert-host.ts';
import { cases as idempotent } from './convert-idempotent.ts';
import { cases as journal } from './convert-journal.ts';
import { cases as ranges } from './convert-ranges.ts';
import { cases as references } from './convert-references.ts';
import { cases as requests } from './convert-requests.ts';
import { cases as retry } from './convert-retry.ts';
import { cases as slots } from './convert-slots.ts';
import { cases as unmapped } from './convert-unmapped.ts';
import { cases as validation } from './convert-validation.ts';
import { cases as hugeConversions } from './huge-conversions.ts';
import { cases as hugeJournal } from './huge-journal.ts';
import { cases as hugeMapping } from './huge-mapping.ts';
import { cases as platformContent } from './platform-content.ts';
import { cases as privateMem } from './private-mem-conversions.ts';
import { cases as privateMemExits } from './private-mem-exits.ts';
import { cases as privateMemHypercalls } from './private-mem-hypercalls.ts';
import { cases as releaseJournal } from './release-journal.ts';
import { cases as stepsAgree } from './steps-agree.ts';
import { cases as truncateState } from './truncate-state.ts';
import { cases as vmAttributes } from './vm-attributes.ts';

export const cases: readonly AnyCase[] = [
  ...requests,
  ...validation,
  ...efault,
  ...ranges,
  ...idempotent,
  ...references,
  ...atomicity,
  ...retry,
  ...content,
  ...host,
  ...fork,
  ...guest,
  ...slots,
  ...unmapped,
  ...platformContent,
  ...truncateState,
  ...conversionsTest,
  ...conversionsTestOthers,
  ...withHugePages([...conversionsTest, ...conversionsTestSized]),
  ...hugeConversions,
  ...hugeJournal,
  ...hugeMapping,
  ...privateMem,
  ...privateMemHypercalls,
  ...privateMemExits,
  ...journal,
  ...releaseJournal,
  ...stepsAgree,
  ...vmAttributes,
];
