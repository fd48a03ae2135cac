import { connect } from 'node:net';
import { defined } from '../src/protocol/defined.ts';
import { labControllerSocket } from './controller.ts';
import { type LabGuest, labGuests } from './guest/registry.ts';
import { type ProbeAnswer } from './probe/messages.ts';
import { MANAGERS } from './managers.ts';
import { managerOfGuests, type LabManager, type LabNetwork } from './plan.ts';
import { readProbe } from './probe/probe.ts';
import type { Lab } from './state.ts';
import { storageStatus, type ServerStatus } from './storage.ts';
import { openLab } from './up.ts';
import { domainStates } from './libvirt/guest.ts';
import { type SeenStatus, seenStatuses } from './witness/qemus.ts';

export interface LabGuestStatus extends LabGuest {
  /** Where QEMU processes of this name are, and what they say of themselves. */
  readonly seen: readonly {
    readonly host: string;
    readonly status: string;
    readonly pid: number;
  }[];
  readonly probe?: ProbeAnswer;
}

export interface LabStatus {
  readonly name: string;
  readonly dir: string;
  readonly rootless: boolean;
  readonly linkBytesPerSecond?: number;
  readonly delayMs?: number;
  /** Absent: bridge. */
  readonly network?: LabNetwork;
  /** Absent: none. */
  readonly manager?: LabManager;
  /** In a lab whose manager is driven by a controller: its socket, and what it calls the manager. */
  readonly controller?: { readonly socket: string; readonly manager: string };
  readonly nfs?: ServerStatus;
  readonly iscsi?: ServerStatus;
  readonly rbd?: ServerStatus;
  readonly hosts: readonly {
    readonly name: string;
    readonly address: string;
    /** On the further paths, in a lab that has them. */
    readonly furtherAddresses?: readonly string[];
    readonly agentSocket: string;
    readonly agentUp: boolean;
  }[];
  readonly guests: readonly LabGuestStatus[];
}

/** What a lab is and how it is. Throws GODWIT_LAB_UNKNOWN when it is not up. */
export async function labStatus(name = 'lab'): Promise<LabStatus> {
  const lab = await openLab(name);
  const [guests, seen, agents] = await Promise.all([
    labGuests(lab),
    seenStatuses(lab),
    Promise.all(lab.members.map((member) => acceptsConnections(member.agentSocket))),
  ]);
  return {
    name: lab.name,
    dir: lab.dir,
    rootless: lab.entry.kind === 'user',
    ...defined({
      linkBytesPerSecond: lab.linkBytesPerSecond,
      delayMs: lab.delayMs,
      network: lab.network,
    }),
    ...managerStatus(lab),
    ...(await storageStatus(lab)),
    hosts: lab.members.map(({ name: host, address, furtherAddresses, agentSocket }, index) => {
      const further = furtherAddresses.length === 0 ? {} : { furtherAddresses };
      return { name: host, address, ...further, agentSocket, agentUp: agents[index] === true };
    }),
    guests: await Promise.all(guests.map((guest) => guestStatus(lab, guest, seen))),
  };
}

function managerStatus(lab: Lab): Pick<LabStatus, 'manager' | 'controller'> {
  const { manager } = lab;
  if (manager === undefined) return {};
  const { nameAtController } = MANAGERS[manager];
  if (nameAtController === undefined) return { manager };
  return { manager, controller: { socket: labControllerSocket(lab), manager: nameAtController } };
}

async function guestStatus(
  lab: Lab,
  guest: LabGuest,
  seen: readonly SeenStatus[],
): Promise<LabGuestStatus> {
  const probe = await readProbe(lab, guest.name);
  const states = managerOfGuests(lab) === undefined ? [] : await domainStates(lab, guest.name);
  return {
    ...guest,
    seen: seen
      .filter((qemu) => qemu.guest === guest.name)
      .map(({ host, status, pid }) => {
        // The only monitor of a guest of libvirt is libvirt's.
        const said = states.find((each) => each.host === host)?.status ?? status;
        return { host, status: said, pid };
      }),
    ...defined({ probe }),
  };
}

async function acceptsConnections(socketPath: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(socketPath);
    const settle = (up: boolean): void => {
      socket.destroy();
      resolve(up);
    };
    socket.setTimeout(1000, () => settle(false));
    socket.on('connect', () => settle(true)).on('error', () => settle(false));
  });
}
