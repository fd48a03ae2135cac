import { createHash } from 'node:crypto';
import type { FleetMigration } from '../../protocol/controller/history.ts';
import { defined } from '../../protocol/defined.ts';
import type { Report } from '../../protocol/public/migration.ts';
import {
  attributesOf,
  KIND_INTERNAL,
  nanosOf,
  STATUS,
  type OtlpEvent,
  type OtlpSpan,
} from './otlp.ts';

const TRACE_BYTES = 16;
const SPAN_BYTES = 8;

/** Trace id derived from the migration's id, so that each leads to the other. Pure. */
export function traceIdOf(migration: string): string {
  return idOf(migration, TRACE_BYTES);
}

/** SHA-256 avoids collisions within a trace, and makes a repeated trace identical. */
function idOf(place: string, bytes: number): string {
  return createHash('sha256')
    .update(place)
    .digest('hex')
    .slice(0, 2 * bytes);
}

/**
 * The spans of an ended migration: one for the whole, with rounds and decisions as events, and a child for each phase.
 * Without a report only the whole. Pure.
 */
export function spansOf(migration: FleetMigration, report: Report | undefined): OtlpSpan[] {
  const { id, guest, startedAt } = migration;
  const startMs = Date.parse(report?.startedAt ?? startedAt);
  const endedMs = Date.parse(report?.endedAt ?? migration.endedAt ?? startedAt);
  const traceId = traceIdOf(id);
  const whole: OtlpSpan = {
    traceId,
    spanId: idOf(id, SPAN_BYTES),
    name: `migrate ${guest}`,
    kind: KIND_INTERNAL,
    startTimeUnixNano: nanosOf(startMs),
    endTimeUnixNano: nanosOf(Math.max(startMs, endedMs)),
    attributes: attributesOf(factsOf(migration, report)),
    events: report === undefined ? [] : eventsOf(report, startMs),
    status: statusOf(migration),
  };
  return [whole, ...phasesOf(whole, report, startMs)];
}

function phasesOf(whole: OtlpSpan, report: Report | undefined, startMs: number): OtlpSpan[] {
  const { traceId, spanId: parentSpanId, status } = whole;
  const phases = report?.phases ?? [];
  let atMs = startMs;
  return phases.map(({ phase, ms }, index) => {
    const beganMs = atMs;
    atMs += ms;
    // The migration's error belongs to its last phase.
    const isLast = index === phases.length - 1;
    return {
      traceId,
      spanId: idOf(`${report?.id}/${index}`, SPAN_BYTES),
      parentSpanId,
      name: phase,
      kind: KIND_INTERNAL,
      startTimeUnixNano: nanosOf(beganMs),
      endTimeUnixNano: nanosOf(atMs),
      attributes: [],
      events: [],
      status: isLast && status.code === STATUS.error ? status : { code: STATUS.unset },
    };
  });
}

function factsOf(migration: FleetMigration, report: Report | undefined) {
  const { id, guest, source, destination, mode, outcome, request, by, code } = migration;
  return {
    'godwit.migration': id,
    'godwit.guest': guest,
    'godwit.source': source,
    'godwit.destination': destination,
    'godwit.mode': mode,
    'godwit.outcome': outcome,
    'godwit.request': request,
    'godwit.asked_by': by,
    'godwit.bytes': migration.bytes,
    'godwit.downtime_ms': migration.downtimeMs,
    'godwit.blackout_ms': report?.blackoutMs,
    'godwit.client_gap_ms': migration.clientGapMs,
    'godwit.rounds': report?.rounds,
    'godwit.takeovers': report?.takeovers,
    'error.type': code,
  };
}

function statusOf({ outcome, words }: FleetMigration): OtlpSpan['status'] {
  switch (outcome) {
    case 'done':
    case 'rehearsed':
      return { code: STATUS.ok };
    case 'failed':
    case 'lost':
    case 'held':
      return { code: STATUS.error, ...defined({ message: words }) };
    case 'cancelled':
    case undefined:
      return { code: STATUS.unset };
  }
}

function eventsOf({ roundList, decisions }: Report, startMs: number): OtlpEvent[] {
  const rounds = roundList.map((each) => ({
    atMs: each.atMs,
    name: `round ${each.round}`,
    facts: {
      'godwit.remaining_bytes': each.remainingBytes,
      'godwit.bytes_per_second': each.rate,
      'godwit.dirtied_per_second': each.dirtyRate,
      'godwit.throttle_percent': each.throttlePercent,
    },
  }));
  const decided = decisions.map(({ atMs, what }) => ({ atMs, name: what, facts: {} }));
  return [...rounds, ...decided]
    .toSorted((one, other) => one.atMs - other.atMs)
    .map(({ atMs, name, facts }) => ({
      timeUnixNano: nanosOf(startMs + atMs),
      name,
      attributes: attributesOf(facts),
    }));
}
