export { Cpu, type PhysicalMemory, type Registers, type SpecialRegisters, type Stop } from './cpu.ts';
export { resetState } from './reset.ts';
