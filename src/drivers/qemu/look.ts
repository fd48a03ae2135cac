import type { NamedCheck } from '../../migration/preflight/check.ts';
import type { StreamSettings } from '../../protocol/peer/migration.ts';
import type { Finding } from '../../migration/preflight/finding.ts';
import type { CheckName } from '../../migration/preflight/table.ts';
import type { Inspection } from '../port/inspection.ts';
import { judgeProcessSettings, processSettings } from '../../host/process-settings.ts';
import { judgeInflated } from '../../migration/preflight/balloon.ts';
import type { Halt } from '../../migration/guest-changes/run-states.ts';
import { judgeFreePages } from '../../migration/preflight/free-pages.ts';
import { readAbilities } from './abilities.ts';
import { balloonNow } from './balloon.ts';
import { guestFits } from './baseline.ts';
import { haltKind } from './events.ts';
import { freePageHints } from './free-pages.ts';
import { nicsWithPorts } from './guest/attachments.ts';
import { readFacts } from './guest/facts.ts';
import { processOf } from './guest/process.ts';
import type { QemuHandle } from './handle.ts';
import { judgeInnerGuests, ranInner } from './inner-guests.ts';
import { inspectFacts } from './inspect.ts';
import { openImages } from './open-images.ts';
import { withAnswers } from './passthrough/read-passthrough.ts';
import type { QmpClient } from './qmp/client.ts';
import type { SessionContext } from './session-context.ts';
import { readFailedDrives, readSnapshot } from './snapshot/read.ts';
import { liveOf } from './spec/unplug.ts';
import { lookWithout } from './unplug/plug-facts.ts';

interface Asked {
  readonly stream: Omit<StreamSettings, 'tls'>;
  /** Ids of devices that it will be without. */
  readonly unplug: readonly string[];
  /** Those that it does not have are passed over: they may not have been plugged in. */
  readonly isWayBack: boolean;
}

/** Reads a running guest and describes it, as it will be without the devices that are to be unplugged. Changes nothing. */
export async function lookAt(
  handle: QemuHandle,
  client: QmpClient,
  { host, images: store, baseline }: SessionContext,
  { stream, unplug, isWayBack }: Asked,
  signal: AbortSignal,
): Promise<Inspection> {
  // First: a change while the rest is read shows in the next comparison.
  const [process, snapshot] = await Promise.all([
    processOf(handle, host),
    readSnapshot(client, signal),
  ]);
  const [all, abilities, hints, balloon, ran] = await Promise.all([
    readFacts(client, process, signal),
    readAbilities(client, handle.pid, stream, signal),
    freePageHints(client, signal),
    balloonNow(client, signal),
    ranInner(client, signal),
  ]);
  const answered = { ...all, devices: await withAnswers(all.devices, handle.pid) };
  const ids = isWayBack ? unplug.filter((id) => liveOf(answered, id) !== undefined) : unplug;
  const { facts, ...unplugging } = await lookWithout(client, answered, ids, signal);
  const halted = await haltNow(client, facts.status, signal);
  const parts = { store, signal, unplugging, halted };
  const found = await inspectFacts(handle.name, facts, abilities, stream, parts);
  const images = await openImages(handle, found);
  const fits = await guestFits(baseline, facts, signal);
  const own = [
    ...named('image-identity', images.found),
    ...named('inner-guests', judgeInnerGuests(facts, ran)),
    ...named('memory', judgeInflated(balloon)),
    ...named('free-pages', judgeFreePages(hints, stream.mode)),
    ...named('process-settings', judgeProcessSettings(await processSettings(handle.pid))),
  ];
  const checks = [...found.checks, ...own, ...fits];
  const nics = nicsWithPorts(facts);
  return { ...found, checks, identities: images.identities, nics, snapshot };
}

/** Why a guest is stopped; undefined if it runs, or if it is in a state of its hypervisor's own. */
async function haltNow(
  client: QmpClient,
  status: string,
  signal: AbortSignal,
): Promise<Halt | undefined> {
  const kind = haltKind(status);
  if (kind !== 'io-error') return kind === undefined ? undefined : { kind };
  const what = await readFailedDrives(client, signal);
  return what === undefined ? { kind } : { kind, what };
}

function named(name: CheckName, findings: readonly Finding[]): NamedCheck[] {
  return findings.map((finding) => ({ name, side: 'source', ...finding }));
}
