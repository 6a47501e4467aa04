export { StepRecorder, type Unseen } from './recorder.ts';
export { findTracefs } from './tracefs.ts';
export { TracingUnavailableError } from './unavailable.ts';
