/** Plausible measurements for the demo's pure parts; each test changes what it is about. */
import type { GuestStats } from '../../lab/guest/talk.ts';
import type { LabGuest } from '../../lab/guest/registry.ts';
import type { ClientView } from '../../lab/probe/probe.ts';
import { migrationSettings, type Report } from '../../src/protocol/public/migration.ts';
import type { Evidence, GuestWord } from '../../demo/outcome.ts';

export const stats: GuestStats = {
  ready: true,
  bootId: 'boot-1',
  uptimeMs: 20_000,
  dirtiedBytes: 100_000_000,
  dirtyingMs: 5000,
  dirtyBytesPerSecond: 20_000_000,
  diskBytes: 0,
  diskErrors: 0,
  commits: 0,
  commitErrors: 0,
};

export const word: GuestWord = {
  memory: {
    ok: true,
    hash: '26cda7425f877f46c26fa156196ef0c9',
    badChunks: 0,
    diskChunks: 0,
    badDiskChunks: 0,
  },
  stats,
};

export const later: GuestWord = {
  memory: word.memory,
  stats: { ...stats, uptimeMs: 30_000, dirtiedBytes: 200_000_000, dirtyingMs: 10_000 },
};

export const client: ClientView = {
  localPort: 50_518,
  connected: true,
  connectedAtMs: 1_795_162_826_342,
  sent: 3161,
  received: 3161,
  lost: 0,
  doubled: 0,
  gapMs: 31.26,
  gapAtMs: 1_795_162_832_436,
  typicalGapMs: 3.54,
  ownStallMs: 4.99,
  sinceMarkMs: 4432,
  clientGapMs: 31.26,
  connectionKept: true,
};

export const report: Report = {
  id: 'm-20261120-081500-abcdef',
  guest: 'web1',
  from: 'a',
  to: 'b',
  outcome: 'done',
  phase: 'done',
  mode: 'precopy',
  finished: 'precopy',
  settings: migrationSettings.parse({}),
  startedAt: '2026-11-20T08:15:00.000Z',
  endedAt: '2026-11-20T08:15:03.123Z',
  totalMs: 3123,
  downtimeMs: 12,
  blackoutMs: 21.04,
  bytes: 402 * 1024 ** 2,
  rounds: 4,
  throughput: 150_000_000,
  memoryBytes: 512 * 1024 ** 2,
  pageRequests: 0,
  roundList: [],
  phases: [],
  checks: [],
  decisions: [],
  takeovers: 0,
  runsAt: 'destination',
};

export const evidence: Evidence = {
  mode: 'precopy',
  from: 'a',
  to: 'b',
  report,
  before: word,
  after: later,
  dirtying: { from: stats, to: later.stats },
  client,
  runningOn: ['b'],
  errors: [],
};

export const guest: LabGuest = {
  name: 'web1',
  index: 1,
  startedOn: 'a',
  address: '10.88.0.21',
  mac: '52:54:00:0f:65:55',
  uuid: 'e0a10e9a-e1a1-802d-8ea1-0b74dfa10d07',
  memoryBytes: 512 * 1024 ** 2,
  staticBytes: 64 * 1024 ** 2,
  dirtyBytes: 64 * 1024 ** 2,
  dirtyBytesPerSecond: 20 * 1024 ** 2,
  qemuVersion: '10.0.2',
  machineType: 'pc-q35-10.0',
  accelerator: 'tcg',
};
