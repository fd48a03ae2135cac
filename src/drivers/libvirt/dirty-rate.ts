import { systemClock } from '../../clock.ts';
import { godwitError } from '../../errors.ts';
import { XdrWriter } from '../../formats/xdr.ts';
import type { GuestMeasure } from '../../protocol/public/prediction.ts';
import { dirtyCurve, type WriteLook } from '../dirty-windows.ts';
import { readDomain, writeDomain, type Domain, type LibvirtClient } from './client.ts';
import { LibvirtRefusal } from './rpc/connection.ts';
import { decodeParams, type Params } from './rpc/params.ts';

/** QEMU's dirty-rate measurement by sampled pages; it does not change the guest. */

const PROC = { stats: 344, start: 427 } as const;
/** VIR_DOMAIN_DIRTYRATE_MODE_PAGE_SAMPLING: in the other modes the kernel tracks writes, which slows the guest. */
const PAGE_SAMPLING = 0;
/** VIR_DOMAIN_STATS_DIRTYRATE */
const DIRTY_RATE = 512;
/** VIR_DOMAIN_DIRTYRATE_MEASURED */
const MEASURED = 2;
/** libvirt before 7.2 lacks the call; hypervisors other than QEMU do not support it. */
const UNKNOWN = [3, 39];

type QueryClient = Pick<LibvirtClient, 'ask'>;

/** Throws GODWIT_CAPABILITY with the reason if it cannot be measured now. */
export async function measureDomain(
  client: QueryClient,
  domain: Domain,
  memoryBytes: number,
  signal: AbortSignal,
  clock = systemClock,
): Promise<GuestMeasure> {
  const look: WriteLook = {
    begin: async (seconds, inner) => {
      const body = writeDomain(domain).int32(seconds).uint32(PAGE_SAMPLING);
      await client.ask(PROC.start, body, inner);
      return true;
    },
    rate: async (seconds, inner) => rateIn(await statsOf(client, domain, inner), seconds),
  };
  try {
    const curve = await dirtyCurve(look, memoryBytes, clock, signal);
    if (curve !== undefined) return { how: 'hypervisor', memoryBytes, pages: 0, curve };
    throw unmeasured(domain, 'libvirt did not end its look in time');
  } catch (thrown) {
    if (!(thrown instanceof LibvirtRefusal)) throw thrown;
    const isUnknown = UNKNOWN.includes(thrown.libvirt.code);
    const since = isUnknown ? ' (libvirt measures guests of QEMU since 7.2)' : '';
    throw unmeasured(domain, `libvirt refuses: ${thrown.message}${since}`);
  }
}

async function statsOf(client: QueryClient, domain: Domain, signal: AbortSignal): Promise<Params> {
  const one = writeDomain(domain).bytes();
  const body = new XdrWriter().uint32(1).raw(one).uint32(DIRTY_RATE).uint32(0);
  const answer = await client.ask(PROC.stats, body, signal);
  const [found = {}] = answer.list(1, () => {
    readDomain(answer);
    return decodeParams(answer);
  });
  return found;
}

/** Rate of a measurement over that time, in MiB/s; undefined if there is none. Pure. */
export function rateIn(params: Params, seconds: number): number | undefined {
  const rate = params['dirtyrate.megabytes_per_second'];
  const isThis =
    params['dirtyrate.calc_status'] === MEASURED && params['dirtyrate.calc_period'] === seconds;
  return isThis && typeof rate === 'number' ? rate : undefined;
}

function unmeasured({ name }: Domain, reason: string): Error {
  return godwitError('GODWIT_CAPABILITY', { what: `to measure ${name}`, reason });
}
