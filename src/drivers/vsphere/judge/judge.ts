import type { ManagerFinding } from '../../../port/managed.ts';
import { ATTRIBUTE } from '../mark.ts';
import type { Vcenter } from '../options.ts';
import { MAKES_ATTRIBUTE, RIGHTS, type ObjectPrivileges } from '../rights.ts';
import type { ShownCertificate } from '../transport.ts';

/** Meaning of a vCenter's properties for migration. Pure. */

const DAY_MS = 86_400_000;
const EXPIRY_WARN_DAYS = 30;
/** A report combines times of both clocks. */
const MAX_SKEW_MS = 60_000;
/** Names per line. */
export const MAX_NAMED = 8;

export function judgeCertificate(
  { fingerprint, ca }: Pick<Vcenter, 'fingerprint' | 'ca'>,
  shown: Pick<ShownCertificate, 'validToMs'> | undefined,
  nowMs: number,
): ManagerFinding {
  const name = 'certificate';
  const by =
    fingerprint === undefined
      ? `a CA vouches for it (${ca ?? 'of this system'})`
      : `pinned: ${fingerprint}`;
  const days = Math.floor(((shown?.validToMs ?? Number.NaN) - nowMs) / DAY_MS);
  if (Number.isNaN(days)) return { name, verdict: 'ok', found: by };
  if (days >= EXPIRY_WARN_DAYS) return { name, verdict: 'ok', found: `${by}, ${days} days left` };
  const left = days < 0 ? `expired ${-days} days ago` : `${days} days left`;
  const hint =
    fingerprint === undefined
      ? 'Renew it on the vCenter before it expires: nothing is sent over one that has.'
      : 'Renew it on the vCenter, and set drivers.vsphere.fingerprint to that of the new one.';
  return { name, verdict: 'warn', found: `${by}, ${left}`, hint };
}

/** Both in ms since 1970. */
export function judgeClock(theirsMs: number, oursMs: number): ManagerFinding {
  const name = 'clock';
  const hint = 'Have the vCenter and this host take their time from one source (NTP).';
  if (!Number.isFinite(theirsMs)) {
    return { name, verdict: 'warn', found: 'the vCenter does not report the time', hint };
  }
  const skewS = Math.round(Math.abs(theirsMs - oursMs) / 1000);
  const found = `the vCenter’s is ${skewS} s ${theirsMs < oursMs ? 'behind' : 'ahead of'} this host’s`;
  if (Math.abs(theirsMs - oursMs) <= MAX_SKEW_MS) return { name, verdict: 'ok', found };
  return { name, verdict: 'warn', found, hint };
}

/** Missing privileges with their objects, and the operations that need them. */
export function judgeRights(
  granted: readonly ObjectPrivileges[],
  user: string,
  hasAttribute: boolean,
): ManagerFinding[] {
  const datacenters = granted.filter(({ isRoot }) => !isRoot);
  if (datacenters.length === 0) {
    const found = `${user} sees no datacenter`;
    const hint = `Give ${user} its role on a datacenter, propagated to what is below it.`;
    return [{ name: 'right', verdict: 'fail', found, hint }];
  }
  return RIGHTS.map(({ id, why, onRoot, isOptional }) => {
    const asked = granted.filter(({ isRoot }) => isRoot === (onRoot ?? false));
    const lacking = asked.filter(({ ids }) => !ids.has(id)).map((each) => each.name);
    const name = 'right';
    if (lacking.length === 0) return { name, verdict: 'ok', found: `${id}: ${why}` };
    const needless = id === MAKES_ATTRIBUTE && hasAttribute;
    if (needless) {
      return { name, verdict: 'ok', found: `${id}: lacks, and is not needed: it is made` };
    }
    const places = named(lacking);
    return {
      name,
      verdict: isOptional === true ? 'warn' : 'fail',
      found: `${id} lacks on ${places}: ${why}`,
      hint: `Add ${id} to the role of ${user} on ${places}. Rights that were given on single objects below it are not seen here.`,
    };
  });
}

export function judgeAttribute(hasAttribute: boolean): ManagerFinding {
  const found = hasAttribute
    ? `${ATTRIBUTE} is there`
    : `${ATTRIBUTE} is not there yet: the first migration makes it`;
  return { name: 'attribute', verdict: 'ok', found };
}

export function named(names: readonly string[]): string {
  const shown = names.slice(0, MAX_NAMED).join(', ');
  const more = names.length - MAX_NAMED;
  return more > 0 ? `${shown} and ${more} more` : shown;
}
