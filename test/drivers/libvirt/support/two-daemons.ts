import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { DaemonPair, type LibvirtHost } from '../../../../src/drivers/libvirt/daemon-pair.ts';
import { markElement, parseMark, type Mark } from '../../../../src/drivers/libvirt/mark.ts';
import { libvirtOptions } from '../../../../src/drivers/libvirt/options.ts';
import { XdrWriter } from '../../../../src/formats/xdr.ts';
import { fakeDaemon, type Answers } from './fake-daemon.ts';
import { ORDER } from './order.ts';

/** Two daemons, of which either may know the guest, and what a migration asks of them at its end. */

const signal = AbortSignal.timeout(60_000);
export const UUID = '7b0d2f70-6a52-4f5e-9a3e-2c1f5b8e1001';
const [NO_DOMAIN, NO_METADATA, INVALID, UNSUPPORTED] = [42, 80, 55, 8];
/** VIR_DOMAIN_UNDEFINE_KEEP_NVRAM is 1 << 3 and _KEEP_TPM 1 << 6 in libvirt-domain.h. */
const [KEEP_NVRAM, KEEP_BOTH] = [8, 72];

/** virDomainState and its reason. */
export const RUNS = [1, 1] as const;
export const ARRIVED = [1, 2] as const;
export const PAUSED = [3, 2] as const;
export const POSTCOPY = [3, 12] as const;
export const OFF = [5, 1] as const;
/** Paused by somebody. */
const BY_A_USER = [3, 1] as const;
/** Runs again after a migration that failed at its switch. */
export const TAKEN_BACK = [1, 6] as const;
/** Off since it failed to arrive. */
export const FAILED = [5, 6] as const;

export interface Daemon {
  /** Undefined: it does not know the guest. */
  readonly state?: readonly [number, number];
  readonly mark?: Partial<Mark>;
  /** What was asked of it that changes something. */
  readonly did: string[];
  /** It removes no definition, as one before 8.9 none of a guest with a TPM. */
  readonly isTooOld?: boolean;
  /** Its definition is started with its host; `stuck`: libvirt does not end that. */
  readonly autostart?: 'on' | 'stuck';
  /** Of its definition: what is in `devices`. */
  readonly devices?: string;
  readonly isTransient?: boolean;
  readonly hasVolume?: boolean;
}

export const DISK =
  '<disk type="file" device="disk"><driver name="qemu" type="qcow2"/><source file="/d/web1.qcow2"/><target dev="vda" bus="virtio"/></disk>';
export const TPM = '<tpm model="tpm-tis"><backend type="emulator" version="2.0"/></tpm>';
const xmlWith = (devices: string): string =>
  `<domain type="qemu"><name>web1</name><uuid>${UUID}</uuid><memory unit="KiB">1024</memory><vcpu>1</vcpu><os><type arch="x86_64" machine="pc-q35-7.2">hvm</type></os><devices>${devices}</devices></domain>`;

function answers(daemon: Daemon): Answers {
  const { state, did, mark, autostart, devices = '' } = daemon;
  const { isTransient = false, isTooOld = false, hasVolume = false } = daemon;
  let isThere = state !== undefined;
  let isStarted = autostart !== undefined;
  let isMarked = mark !== undefined;
  let isPaused = false;
  let isRunning = state !== undefined && state[0] !== OFF[0];
  let written: Mark = {
    id: ORDER.id,
    state: 'sent',
    reason: '',
    autostart: 'no',
    persistent: 'yes',
    defined: 'no',
    ...mark,
  };
  const domain = (): XdrWriter | number =>
    isThere
      ? new XdrWriter()
          .string('web1')
          .uuid(UUID)
          .int32(isRunning ? 3 : -1)
      : NO_DOMAIN;
  return {
    66: () => new XdrWriter().uint32(1).int32(0),
    1: () => new XdrWriter(),
    24: domain,
    14: () => new XdrWriter().string(xmlWith(devices)),
    151: () => new XdrWriter().int32(isTransient ? 0 : 1),
    12: () => {
      did.push('destroy');
      isRunning = false;
      return new XdrWriter();
    },
    34: () => {
      did.push('suspend');
      isPaused = true;
      return new XdrWriter();
    },
    212: () => {
      const isAsSaid = isRunning || state?.[0] === OFF[0];
      const [is, reason] = isPaused ? BY_A_USER : isAsSaid ? (state ?? OFF) : OFF;
      return new XdrWriter().int32(is).int32(reason);
    },
    231: (asked) => {
      asked.string(64);
      asked.uuid();
      asked.int32();
      assert.equal(asked.uint32(), devices.includes('<tpm') ? KEEP_BOTH : KEEP_NVRAM);
      if (isTooOld) return UNSUPPORTED;
      did.push('undefine');
      isThere = false;
      return new XdrWriter();
    },
    15: () => new XdrWriter().int32(isStarted ? 1 : 0),
    29: (asked) => {
      asked.string(64);
      asked.uuid();
      asked.int32();
      if (isTransient || autostart === 'stuck') return INVALID;
      isStarted = asked.int32() === 1;
      did.push(`autostart ${isStarted ? 'on' : 'off'}`);
      return new XdrWriter();
    },
    264: (asked) => {
      asked.string(64);
      asked.uuid();
      asked.int32();
      asked.int32();
      const mark = asked.uint32() === 0 ? undefined : parseMark(asked.string(65_536));
      isMarked = mark !== undefined;
      written = mark ?? written;
      did.push(mark === undefined ? 'unmark' : `mark ${mark.second}`);
      return new XdrWriter();
    },
    265: () => (isMarked ? new XdrWriter().string(markElement(written)) : NO_METADATA),
    298: () => new XdrWriter().int32(0).uint32(0),
    ...(hasVolume ? volumeAnswers(did) : {}),
  };
}

/** A pool with the volume of the disk. */
function volumeAnswers(did: string[]): Answers {
  return {
    391: () => new XdrWriter().string('d').uuid(UUID),
    83: () => new XdrWriter(),
    95: () => new XdrWriter().string('d').string('web1.qcow2').string('/d/web1.qcow2'),
    94: () => {
      did.push('delete volume');
      return new XdrWriter();
    },
  };
}

export async function host(t: TestContext, source: Daemon, there?: Daemon): Promise<LibvirtHost> {
  const uri = async (each: Daemon): Promise<string> =>
    `qemu+unix:///system?socket=${await fakeDaemon(t, answers(each))}`;
  const other = there === undefined ? 'qemu+unix:///system?socket=/none' : await uri(there);
  const options = libvirtOptions.parse({ hosts: { b: { uri: other } } });
  return { name: 'a', options, uri: await uri(source), outcomes: new Map(), hear: new Set() };
}

export async function daemonPair(
  t: TestContext,
  source: Daemon,
  there?: Daemon,
): Promise<DaemonPair> {
  const found = await DaemonPair.open(await host(t, source, there), UUID, signal);
  t.after(() => found.close());
  return found;
}
