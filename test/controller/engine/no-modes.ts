import assert from 'node:assert/strict';
import type { ModeCalls } from '../../../src/controller/engine/ports.ts';

/** For tests in which no host has a manager. */
export const noModes: ModeCalls = { ask: async () => assert.fail('no mode is asked for') };
