import { godwitError, type SerialError } from '../../../src/errors.ts';
import type { PlannedEvent, StepFacts } from '../../../src/migration/direct/source/source-state.ts';
import {
  migrationSettings,
  streamModeOf,
  type MemorySample,
  type MigrationSettings,
} from '../../../src/protocol/public/migration.ts';
import type { ImagePlace, DiskLink } from '../../../src/protocol/disk.ts';
import type { GuestDescription, Preparation } from '../../../src/protocol/peer/migration.ts';
import type { WireReport } from '../../../src/protocol/wire.ts';

/** Ordinary values, for tests in which most of them do not matter. */

export function planned(settings: Partial<MigrationSettings> = {}): PlannedEvent {
  return {
    type: 'planned',
    id: 'm-00000001',
    guest: 'web1',
    from: 'a',
    to: 'b',
    epoch: 17,
    settings: migrationSettings.parse(settings),
    bootId: 'boot-1',
  };
}

export function descriptionOf(): GuestDescription {
  return {
    driver: 'fake',
    name: 'web1',
    memoryBytes: 1 << 30,
    vcpus: 2,
    hypervisorVersion: '10.0',
    spec: {},
  };
}

/** Below it, where the source has it. */
export const BASE: ImagePlace = { node: 'base0', pool: 'f'.repeat(16), path: 'web1/base.raw' };
export const COPY: ImagePlace = { node: 'disk0', pool: 'f'.repeat(16), path: 'web1/disk0.raw' };

export function withDisk(): GuestDescription {
  const image = { node: COPY.node, format: 'raw', bytes: 1 << 30, readOnly: false } as const;
  return { ...descriptionOf(), disks: [{ name: 'vda', images: [image] }] };
}

export function preparationOf({ epoch, settings }: PlannedEvent): Preparation {
  const { mode, streams, compress } = settings;
  return {
    epoch,
    description: descriptionOf(),
    stream: { mode: streamModeOf(mode), streams, compress, tls: true },
  };
}

export function sampleOf(given: Partial<MemorySample> = {}): MemorySample {
  return {
    totalBytes: 1 << 30,
    remainingBytes: 1 << 20,
    transferredBytes: 1 << 29,
    skippedBytes: 0,
    rate: 100_000_000,
    dirtyRate: 10_000_000,
    round: 1,
    totalMs: 1000,
    pageRequests: 0,
    ...given,
  };
}

export function wireReportOf(given: Partial<WireReport> = {}): WireReport {
  return {
    streamBytes: 1 << 29,
    linkBytes: 1 << 24,
    returnBytes: 1024,
    told: { zero: 100, literal: 20 },
    misses: 0,
    levels: [],
    processorMs: 900,
    cuts: 0,
    longestCutMs: 0,
    sessions: 1,
    ...given,
  };
}

export function diskLinkOf(given: Partial<DiskLink> = {}): DiskLink {
  const bytes = { sentBytes: 1 << 28, receivedBytes: 4096, linkBytes: (1 << 28) + 65_536 };
  return { ...bytes, cuts: 0, longestCutMs: 0, sessions: 1, ...given };
}

export function errorOf(reason = 'it was to be'): SerialError {
  return godwitError('GODWIT_STEP_FAILED', { step: 'any', reason }).toJSON();
}

export function admissionOf({ id, guest, from, epoch, settings }: PlannedEvent) {
  const { timeoutMs } = settings;
  return { id, guest, from, epoch, timeoutMs, memoryBytes: 1 << 30 };
}

/** What `inspect` and `assess` find out; `copies`: the guest has disks that the hosts do not share, and a device that is unplugged. */
export function inspected(copies: boolean): StepFacts {
  const description = copies ? withDisk() : descriptionOf();
  const unplugged = copies ? [{ device: 'hostdev0', again: { driver: 'vfio-pci' } }] : undefined;
  return { description, checks: [], ports: ['tap0'], ...(unplugged && { unplugged }) };
}
export function assessed(copies: boolean): StepFacts {
  return copies ? { checks: [], copies: [COPY], bases: [BASE] } : { checks: [] };
}
