/**
 * Pretended Hyper-V hosts. Classes, properties and numbers are those of Microsoft's pages on Msvm_MigrationJob,
 * Msvm_ComputerSystem, Msvm_VirtualSystemSettingData and MigrateVirtualSystemToHost; names of cmdlets' properties are those of
 * the module Hyper-V. No PowerShell runs here: what a script of Godwit's would find is worked out in script-answers.ts.
 */
import { randomUUID } from 'node:crypto';

export interface FakeGuest {
  readonly id: string;
  readonly name: string;
  host: string;
  state: 'Running' | 'Off' | 'Paused';
  notes: string;
  /** Where its configuration is. */
  folder: string;
  clustered: boolean;
  compatibility: boolean;
  disks: { path: string; physical: boolean; at: string }[];
  images: string[];
  devices: string[];
  switches: string[];
}

export interface FakeHypervHost {
  readonly name: string;
  domain: string;
  enabled: boolean;
  limit: number;
  active: number;
  storageLimit: number;
  storageActive: number;
  authentication: string;
  anyNetwork: boolean;
  networks: string[];
  switches: string[];
  nodes: string[];
  version: string;
  /** The user is not in its Hyper-V Administrators: cmdlets answer what Microsoft's pages print of that. */
  denies: boolean;
  /** Of its node, where it has other nodes: Get-ClusterNode's State and DrainStatus. */
  node: { state: 'Up' | 'Paused'; drain: 'NotInitiated' | 'InProgress' | 'Completed' | 'Failed' };
}

export interface FakeJob {
  readonly id: string;
  readonly machine: string;
  readonly from: string;
  readonly to: string;
  /** The folder that its files go to, all of them. */
  readonly storage: string | null;
  readonly beganMs: number;
  /** JobState */
  state: number;
  error: string;
}

export interface Ends {
  readonly state: number;
  readonly error: string;
}

const RUNNING = 4;
const COMPLETED = 7;

export class HypervWorld {
  readonly hosts = new Map<string, FakeHypervHost>();
  readonly guests: FakeGuest[] = [];
  readonly jobs: FakeJob[] = [];
  /** Migrations that were ever begun, by machine. */
  readonly begun = new Map<string, number>();
  /** How long a migration takes, and how it ends. */
  taskMs = 200;
  ends: Ends = { state: COMPLETED, error: '' };
  /** Groups of the user on every host, by their SIDs; Hyper-V Administrators and Remote Management Users. */
  groups = ['S-1-5-32-545', 'S-1-5-32-578', 'S-1-5-32-580'];
  skewMs = 0;
  /** What Compare-VM finds, or how it fails. */
  incompatibilities: { id: number; message: string; source: string }[] = [];
  compareFails: { message: string; hresult: number } | undefined;
  /** What MigrateVirtualSystemToHost returns. */
  returns = 4096;
  events: { id: number; level: number; message: string }[] = [];

  host(name: string): FakeHypervHost {
    const made: FakeHypervHost = {
      name,
      domain: 'example.test',
      enabled: true,
      limit: 2,
      active: 0,
      storageLimit: 2,
      storageActive: 0,
      authentication: 'Kerberos',
      anyNetwork: true,
      networks: [],
      switches: ['lan'],
      nodes: [],
      version: '10.0.20348.0',
      denies: false,
      node: { state: 'Up', drain: 'NotInitiated' },
    };
    this.hosts.set(name, made);
    return made;
  }

  guest(name: string, host: string, facts: Partial<FakeGuest> = {}): FakeGuest {
    const made: FakeGuest = {
      id: randomUUID(),
      name,
      host,
      state: 'Running',
      notes: '',
      folder: String.raw`C:\vm`,
      clustered: false,
      compatibility: true,
      disks: [{ path: String.raw`\\share\vms\disk.vhdx`, physical: false, at: 'SCSI 0:0' }],
      images: [],
      devices: [],
      switches: ['lan'],
      ...facts,
    };
    this.guests.push(made);
    return made;
  }

  on(host: string): FakeGuest[] {
    this.turn();
    return this.guests.filter((guest) => guest.host === host);
  }

  /** A job as VMMS begins it; it goes on by itself. */
  migrate(guest: FakeGuest, to: string, storage: string | null = null): void {
    this.begun.set(guest.name, (this.begun.get(guest.name) ?? 0) + 1);
    this.jobs.push({
      id: randomUUID().toUpperCase(),
      machine: guest.id.toUpperCase(),
      from: guest.host,
      to,
      storage,
      beganMs: Date.now(),
      state: RUNNING,
      error: '',
    });
  }

  percent({ state, beganMs }: FakeJob): number {
    if (state !== RUNNING) return 100;
    return Math.min(99, Math.floor(((Date.now() - beganMs) / this.taskMs) * 100));
  }

  /** RequestStateChange(Terminate) of a job that runs. */
  terminate(id: string): boolean {
    this.turn();
    const job = this.jobs.find((each) => each.id === id && each.state === RUNNING);
    if (job === undefined) return false;
    job.state = 8;
    return true;
  }

  /** The cluster moves its roles to other nodes that are up. Other guests stay. */
  suspend(name: string): void {
    const host = this.hosts.get(name);
    if (host === undefined) return;
    const to = host.nodes.find(
      (each) => each !== name && this.hosts.get(each)?.node.state === 'Up',
    );
    const roles = this.on(name).filter(({ clustered }) => clustered);
    host.node = { state: 'Paused', drain: 'InProgress' };
    // Where there is no other node, the next turn finds that nothing moves them.
    if (to !== undefined) for (const guest of roles) this.migrate(guest, to);
  }

  resume(name: string): void {
    const host = this.hosts.get(name);
    if (host === undefined) return;
    host.node = { state: 'Up', drain: 'NotInitiated' };
    for (const job of this.jobs) if (job.from === name) this.terminate(job.id);
  }

  /**
   * The management service is started again (`Restart-Service vmms`): machines go on, migrations under way end at their
   * sources, and no job is known any more.
   */
  restart(): void {
    this.turn();
    this.jobs.length = 0;
  }

  turn(): void {
    for (const job of this.jobs) {
      if (job.state !== RUNNING || Date.now() < job.beganMs + this.taskMs) continue;
      job.state = this.ends.state;
      job.error = this.ends.error;
      const guest = this.guests.find(({ id }) => id.toUpperCase() === job.machine);
      if (guest === undefined || job.state !== COMPLETED) continue;
      guest.host = job.to;
      if (job.storage !== null) store(guest, job.storage);
    }
    for (const { name, node } of this.hosts.values()) {
      if (node.drain !== 'InProgress') continue;
      const moving = this.jobs.some(({ from, state }) => from === name && state === RUNNING);
      const left = this.guests.some(({ host, clustered }) => host === name && clustered);
      if (!moving) node.drain = left ? 'Failed' : 'Completed';
    }
  }
}

/** As Move-VM and Move-VMStorage lay a machine out below a folder that they are given. */
function store(guest: FakeGuest, storage: string): void {
  guest.folder = `${storage}\\${guest.id.toUpperCase()}`;
  for (const disk of guest.disks) {
    if (disk.physical) continue;
    const file = disk.path.split('\\').at(-1) ?? '';
    disk.path = `${guest.folder}\\Virtual Hard Disks\\${file}`;
  }
}
