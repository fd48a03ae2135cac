import { guestName } from '../../protocol/names.ts';
import type { ManagerFinding } from '../../port/managed.ts';
import type { AccountFacts, GuestFacts, HostFacts } from './answers.ts';
import { runState } from './whereabouts.ts';
import { unknownWindows } from './windows.ts';

/** Meaning of a Hyper-V host's properties for migration. Pure. */

/** Kerberos's limit. */
const MAX_SKEW_MS = 300_000;
const ADMINISTRATORS = 'S-1-5-32-544';
const HYPERV_ADMINISTRATORS = 'S-1-5-32-578';

/** Both in ms since 1970. */
export function judgeClock(host: string, theirsMs: number, oursMs: number): ManagerFinding {
  const name = 'clock';
  const hint =
    'Have the hosts take their time from one source: Kerberos refuses more than 5 minutes.';
  if (!Number.isFinite(theirsMs)) {
    return { name, verdict: 'warn', found: `${host}: it does not report the time`, hint };
  }
  const skewS = Math.round(Math.abs(theirsMs - oursMs) / 1000);
  const found = `${host}: ${skewS} s ${theirsMs < oursMs ? 'behind' : 'ahead of'} this host’s`;
  if (Math.abs(theirsMs - oursMs) <= MAX_SKEW_MS) return { name, verdict: 'ok', found };
  return { name, verdict: 'warn', found, hint };
}

export function judgeVersion(
  host: string,
  { version }: Pick<HostFacts, 'version'>,
): ManagerFinding {
  const name = 'version';
  const error = unknownWindows(version, host);
  if (error === undefined) return { name, verdict: 'ok', found: `${host}: Windows ${version}` };
  return { name, verdict: 'fail', found: error.message, hint: error.hint };
}

/** A user with WinRM access may lack the right to move guests. */
export function judgeAccount(host: string, { user, groups }: AccountFacts): ManagerFinding[] {
  const name = 'right';
  const isAdministrator = groups.includes(ADMINISTRATORS);
  if (isAdministrator || groups.includes(HYPERV_ADMINISTRATORS)) {
    const group = isAdministrator ? 'Administrators' : 'Hyper-V Administrators';
    return [{ name, verdict: 'ok', found: `${host}: ${group}, to see and move guests` }];
  }
  const found = `${host}: ${user} is not in Hyper-V Administrators, to see and move guests`;
  const hint = `On ${host}: \`Add-LocalGroupMember -SID ${HYPERV_ADMINISTRATORS} -Member USER\`.`;
  return [{ name, verdict: 'fail', found, hint }];
}

export function judgeLiveMigration(host: string, facts: HostFacts): ManagerFinding[] {
  const { enabled, limit, active, anyNetwork, networks, authentication, domain, nodes } = facts;
  const isKerberos = /kerberos/i.test(authentication);
  const isNode = nodes.length > 0;
  return [
    enabled
      ? ok('live-migration', `${host}: on, ${active} of ${limit} at a time`)
      : bad(
          'live-migration',
          isNode,
          `${host}: it is off`,
          `Run \`Enable-VMMigration\` on ${host}.`,
        ),
    anyNetwork || networks.length > 0
      ? ok('networks', `${host}: ${anyNetwork ? 'any network' : networks.join(', ')}`)
      : bad(
          'networks',
          isNode,
          `${host}: it names no network for live migration`,
          `On ${host}: \`Add-VMMigrationNetwork SUBNET\`, or \`Set-VMHost -UseAnyNetworkForMigration $true\`.`,
        ),
    isKerberos && domain !== ''
      ? ok('authentication', `${host}: Kerberos, of ${domain}`)
      : bad(
          'authentication',
          isNode,
          `${host}: ${isKerberos ? 'it is in no domain, and Kerberos needs one' : `it is ${authentication}, which needs a person who is logged on there`}`,
          `Join ${host} to a domain, and run \`Set-VMHost -VirtualMachineMigrationAuthenticationType Kerberos\`, with constrained delegation.`,
        ),
  ];
}

export function judgeGuests(guests: readonly GuestFacts[]): ManagerFinding {
  const name = 'guests';
  const running = guests.filter(({ state }) => runState(state) === 'running').length;
  const read = `${guests.length} read, ${running} running`;
  const names = guests.map((each) => each.name);
  const odd = names.filter((each) => !guestName.safeParse(each).success);
  const twice = names.filter((each, index) => names.indexOf(each) !== index);
  if (odd.length + twice.length === 0) return ok(name, read);
  const hint = 'Rename them: a name of Godwit’s has no blanks and at most 63 characters.';
  const found = `${read}; ${odd.length} not listed for their names, ${twice.length} share one`;
  return { name, verdict: 'warn', found, hint };
}

function ok(name: string, found: string): ManagerFinding {
  return { name, verdict: 'ok', found };
}

/** Severity of a missing requirement of non-clustered guests; clustered guests move through their cluster. */
function bad(name: string, isNode: boolean, found: string, hint: string): ManagerFinding {
  return { name, verdict: isNode ? 'warn' : 'fail', found, hint };
}
