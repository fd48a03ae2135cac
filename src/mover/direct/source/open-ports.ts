import { phaseOf } from '../../../migration/direct/source/source-state.ts';
import { fencingMs } from '../../../host/fencing.ts';
import { PortLooks } from '../../../network/port-look.ts';
import { removePort } from '../../../network/port.ts';
import { fleetQuestion } from '../ask-fleet.ts';
import type { Surroundings } from '../../shared/surroundings.ts';
import { SourceBackingFiles } from './disks/backing-files.ts';
import { DiskLatencies } from './disks/disk-latencies.ts';
import { SourceDisks } from './disks/disks.ts';
import { GuestChanges } from './guest/guest-changes.ts';
import { proveOff } from './guest/permission.ts';
import { GuestConnections } from './network/connections.ts';
import { restoreNetworks, withdrawNetworks } from './network/networks.ts';
import { SourceProbes } from './network/probes.ts';
import { SourceVerification } from './network/verify.ts';
import type { HostPort, NetworkPort, StepContext } from './ports.ts';
import type { MoverParts } from './source-base.ts';
import { SourceDataPath } from './stream/data-path.ts';
import { Forecast } from './stream/forecast.ts';
import { PostcopyPace } from './stream/postcopy-pace.ts';
import { TimedCap } from './stream/timed-cap.ts';
import { UnderWay } from './stream/under-way.ts';
import type { WatchDependencies } from './watch.ts';

export interface OpenedPorts {
  readonly context: StepContext;
  readonly watched: WatchDependencies;
  readonly abort: (why: string) => void;
  readonly close: () => Promise<void>;
}

export function openPorts(
  parts: MoverParts,
  around: Surroundings,
  isTakeover: boolean,
): OpenedPorts {
  const { clock, log, queuedBytes } = around;
  const { guest, peer, request, state } = parts;
  const underWay = new UnderWay(parts, queuedBytes, log);
  const dataPath = new SourceDataPath({ ...parts, underWay }, around.wire, log);
  const pace = new PostcopyPace(parts, queuedBytes, clock, log);
  // The cap sets the rate of disks and backing files, which in turn ask the cap, so it is made first and looks at
  // them later.
  const capped = {
    ...parts,
    pace,
    dataPath,
    get disks(): SourceDisks {
      return copies;
    },
    get backingFiles(): SourceBackingFiles {
      return backingFiles;
    },
  };
  const timedCap = new TimedCap(capped, log, isTakeover);
  const copies = new SourceDisks({ ...parts, timedCap, underWay }, log);
  const backingFiles = new SourceBackingFiles({ ...parts, timedCap }, log);
  const latencies = new DiskLatencies(parts, clock, log);
  const forecast = new Forecast({ ...parts, latencies }, around.processorLoad);
  const connections = new GuestConnections();
  const looks = { ...parts, connections, dataPath };
  const changes = new GuestChanges(looks, clock, log, new PortLooks());
  const probes = new SourceProbes(parts, around.connect, clock, log);
  const verification = new SourceVerification({ ...parts, probes, changes }, clock);
  // The guest itself becomes the port, because its methods have private state.
  const hypervisor = Object.assign(guest, { changes, forecast });
  return {
    context: {
      request,
      state,
      dispatch: parts.dispatch,
      record: parts.record,
      tookOver: parts.tookOver,
      peer,
      hypervisor,
      dataPath,
      disks: { copies, latencies, backingFiles },
      network: { ...networksOf(parts, connections), probes, verification },
      host: hostOf(parts, around),
    },
    watched: { ...looks, disks: copies, backingFiles, changes, probes, underWay, pace, timedCap },
    abort: (why) => {
      dataPath.abort(why);
      copies.abort(why);
      backingFiles.abort(why);
    },
    close: async () => {
      forecast.close();
      await probes.close(request.id, phaseOf(state()) === 'done');
      await connections.close(request.id);
      await guest.close();
      peer.close();
    },
  };
}

function hostOf(parts: MoverParts, around: Surroundings): HostPort {
  const { config, dir } = parts;
  return {
    config,
    dir,
    facts: around.hostFacts,
    bootTime: around.bootTime,
    fleet: fleetQuestion(around),
    fence: (signal) => proveOff(parts, around, signal),
    fenceMs: around.fence === undefined ? 0 : fencingMs(config),
    removeTree: around.removeTree,
  };
}

function networksOf(
  parts: MoverParts,
  connections: GuestConnections,
): Omit<NetworkPort, 'probes' | 'verification'> {
  return {
    withdraw: (signal) => withdrawNetworks(parts, signal),
    restore: (signal) => restoreNetworks(parts, signal),
    removePorts: async (signal) => {
      for (const port of parts.state().known.ports ?? []) await removePort(port, signal);
    },
    connections: {
      learn: (context, nics, signal) => connections.learn(context, nics, signal),
      handOver: (signal) => connections.handOver(parts, signal),
      follow: () => connections.follow(parts),
      last: () => connections.last(parts),
      late: (before) => connections.late(before),
    },
  };
}
