export type { ForkedProcess, GuestRead, GuestWrite, MockControls, MockGuest, Pin } from './controls.ts';
export type { AllocationPoint, Faults } from './faults.ts';
export type { Journal, JournalEntry, Reason, Step } from './journal.ts';
export { type KnownDifference, knownDifferences } from './known-differences.ts';
export type { Access, GuestExit } from './kvm/index.ts';
export { createMock, type Mock, type MockOptions } from './mock.ts';
export { type PlatformName, platformNames } from './platform/index.ts';
export { type Profile, type ProfileName, profileNames, profiles } from './profile.ts';
export type { PageRange } from './ranges.ts';
