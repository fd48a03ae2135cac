import { z } from 'zod';
import { diskProgress } from '../disk.ts';
import { errorBody, serialError } from '../errors.ts';
import { hello } from '../hello.ts';
import { cacheStatus } from './cache.ts';
import { migrationStart } from './contract.ts';
import { diskMoveProgress, diskMoveRequest } from './disk-move.ts';
import { hostEvent } from './hosts/host-event.ts';
import { hostLoad } from './hosts/load.ts';
import { fleetEvent } from '../controller/events.ts';
import { fleetGuest, fleetHost, samplePoint } from '../controller/fleet.ts';
import { overview } from '../controller/overview.ts';
import { session } from '../controller/session.ts';
import { tokenEntry } from '../controller/tokens.ts';
import { move, fleetRequest, requestAsk } from '../controller/fleet-request.ts';
import { requestPlan } from '../controller/fleet-requests.ts';
import {
  fleetMigration,
  guestStay,
  distribution,
  insight,
  migrationHappened,
  migrationNews,
} from '../controller/history.ts';
import { fleetLimits, limitsChange } from '../controller/limits.ts';
import { guestInfo, hostEntry, hostInfo, hypervisorInfo } from './hosts/host.ts';
import { clearedList, leftover } from './leftover.ts';
import {
  cancelAnswer,
  check,
  memorySample,
  migrationRequest,
  migrationSettings,
  migrationSummary,
  progress,
  report,
} from './migration.ts';
import { resolution, resolveAnswer, resolveRequest, sideView } from './resolve.ts';
import { probeReport } from './probe.ts';

/** Names of the public API's messages in the OpenAPI document, used by generated types. */
const SCHEMAS = {
  Error: errorBody,
  ErrorDetail: serialError,
  Hello: hello,
  Host: hostInfo,
  HostEntry: hostEntry,
  Hypervisor: hypervisorInfo,
  Guest: guestInfo,
  HostEvent: hostEvent,
  HostLoad: hostLoad,
  FleetHost: fleetHost,
  FleetGuest: fleetGuest,
  FleetEvent: fleetEvent,
  SamplePoint: samplePoint,
  Overview: overview,
  Session: session,
  Token: tokenEntry,
  FleetRequest: fleetRequest,
  FleetRequestAsk: requestAsk,
  FleetRequestPlan: requestPlan,
  Move: move,
  FleetMigration: fleetMigration,
  MigrationHappened: migrationHappened,
  MigrationEvent: migrationNews,
  GuestStay: guestStay,
  Insight: insight,
  Distribution: distribution,
  FleetLimits: fleetLimits,
  LimitsRequest: limitsChange,
  Migration: migrationSummary,
  MigrationRequest: migrationRequest,
  MigrationStartRequest: migrationStart,
  MigrationSettings: migrationSettings,
  Progress: progress,
  MemorySample: memorySample,
  DiskProgress: diskProgress,
  Report: report,
  Check: check,
  ProbeReport: probeReport,
  CancelAnswer: cancelAnswer,
  Resolution: resolution,
  ResolutionSide: sideView,
  ResolveRequest: resolveRequest,
  ResolveAnswer: resolveAnswer,
  Leftover: leftover,
  Cleared: clearedList,
  Cache: cacheStatus,
  DiskMove: diskMoveProgress,
  DiskMoveRequest: diskMoveRequest,
} as const satisfies Record<string, z.ZodType>;

export const schemaNames = z.registry<{ id: string }>();
for (const [id, schema] of Object.entries(SCHEMAS)) schemaNames.add(schema, { id });
