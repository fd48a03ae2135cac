import type { CertificateFact, Facts, Finding, TrustFact } from './facts.ts';

/** Lists are renewed after half of their seven days; fewer days left mean that the agent of the CA's host fails to. */
const LIST_LOW_DAYS = 3;
const CERTIFICATE_LOW_DAYS = 3;
const EXPIRY_WARN_DAYS = 30;
const HOUR_DAYS = 1 / 24;
const MAX_SHOWN = 8;

export function judgeTrust({
  trust,
  damagedList,
}: Pick<Facts, 'trust' | 'damagedList'>): Finding[] {
  const damaged = damagedList === undefined ? [] : [damagedFinding(damagedList)];
  return [...damaged, ...trust.flatMap(judgeOne)];
}

export function judgeCertificates({ certificates }: Pick<Facts, 'certificates'>): Finding[] {
  return certificates.map((each): Finding => judgeCertificate(each));
}

const OWN_HINT =
  'On the host that holds the CA: `godwit invite NAME --addresses IP`, and here the `godwit join` that it prints; or `godwit pki issue` there.';
const CA_HINT =
  'On the host that holds the CA: `godwit pki rotate-ca start` replaces it in steps (docs/certificates.md). A damaged file is copied from there again.';

function judgeCertificate({
  file,
  subject,
  daysLeft,
  lifeDays = 0,
  problem,
}: CertificateFact): Finding {
  const name = 'certificate';
  const hint = file.endsWith('/ca.crt') ? CA_HINT : OWN_HINT;
  if (daysLeft === undefined) {
    return { name, verdict: 'fail', found: `${file}: ${problem ?? 'cannot be read'}`, hint };
  }
  const who = `${file}${subject === undefined ? '' : ` (${subject})`}`;
  if (daysLeft < 0) {
    return {
      name,
      verdict: 'fail',
      found: `${who} expired ${Math.ceil(-daysLeft)} days ago`,
      hint,
    };
  }
  const found = `${who}, ${Math.floor(daysLeft)} days left`;
  // One that renews itself does so with a third of its life left.
  const isLow = daysLeft < Math.min(EXPIRY_WARN_DAYS, lifeDays / 4);
  return isLow ? { name, verdict: 'warn', found, hint } : { name, verdict: 'ok', found };
}

function judgeOne(fact: TrustFact): Finding[] {
  return [
    judgeList(fact),
    judgeRenewal(fact),
    ...judgeAuthorities(fact),
    ...judgeHolders(fact),
    ...judgeRefusals(fact),
  ];
}

function damagedFinding(found: string): Finding {
  const hint =
    'Remove the file: the agent fetches the list again from the other hosts. Until then, use its Unix socket.';
  return { name: 'fleet list', verdict: 'fail', found, hint };
}

function judgeList({ host, list, listProblem }: TrustFact): Finding {
  const name = 'fleet list';
  if (listProblem !== undefined) return damagedFinding(`${host}: ${listProblem}`);
  if (list === undefined) {
    return { name, verdict: 'ok', found: `${host} has none: it goes by \`peers\`` };
  }
  const { number, ageDays, leftDays } = list;
  const of = `${host} has list ${number}, signed ${span(ageDays)} ago`;
  const hint = 'Start the agent of the host that holds the CA: it renews the list.';
  if (leftDays < 0) {
    const found = `${of}; it expired ${span(-leftDays)} ago: operators and viewers are refused`;
    return { name, verdict: 'fail', found, hint };
  }
  const found = `${of}, expires in ${span(leftDays)}`;
  if (leftDays >= LIST_LOW_DAYS) return { name, verdict: 'ok', found };
  return { name, verdict: 'warn', found, hint };
}

function judgeRenewal({ host, daysLeft, failures, problem }: TrustFact): Finding {
  const name = 'renewal';
  const left = daysLeft < 0 ? `expired ${span(-daysLeft)} ago` : `has ${span(daysLeft)} left`;
  const found = `the certificate of ${host} ${left}`;
  if (failures === 0) return { name, verdict: 'ok', found };
  return {
    name,
    verdict: daysLeft < CERTIFICATE_LOW_DAYS ? 'fail' : 'warn',
    found: `${found} and could not be renewed, ${times(failures)}: ${problem ?? 'no reason'}`,
    hint: 'See docs/certificates.md, “Certificates renew themselves”; a host whose certificate has expired joins again.',
  };
}

/** A host that missed a rotation of the CA. */
function judgeAuthorities({ host, authoritiesProblem }: TrustFact): Finding[] {
  if (authoritiesProblem === undefined) return [];
  const hint =
    'Let the host join again: `godwit invite` on the host of the CA, then `godwit join` here.';
  return [{ name: 'CA', verdict: 'fail', found: `${host}: ${authoritiesProblem}`, hint }];
}

/** Reported by the agent beside the CA alone. */
function judgeHolders({ host, twoHolders = [] }: TrustFact): Finding[] {
  return twoHolders.map(({ name, serial, shownByHost, at }) => ({
    name: 'renewal',
    verdict: 'fail',
    found: `${host}: since ${at} somebody uses certificate ${serial} of ${name}, which itself shows ${shownByHost}`,
    hint: `Somebody else has a key of ${name}. Where the CA is, run \`godwit pki revoke ${name}\`, and let ${name} join again. \`godwit pki revoke ${serial}\` alone does not end the thief, who may have the key of the one before too, and renew that again.`,
  }));
}

function judgeRefusals({ host, refusals }: TrustFact): Finding[] {
  const name = 'refusals';
  if (refusals.length === 0) return [{ name, verdict: 'ok', found: `${host} refused nobody` }];
  const shown = refusals.slice(0, MAX_SHOWN).map(({ peer, code, count, message, at }): Finding => {
    const found = `${host} refused ${peer}, ${times(count)}, last at ${at} (${code}): ${message}`;
    return { name, verdict: 'warn', found };
  });
  const more = refusals.length - shown.length;
  const rest =
    more === 0 ? [] : [{ name, verdict: 'warn', found: `${host}: ${more} more` } as const];
  const hint =
    'Repeated refusals: a host of another fleet, an older build, or an attacker. docs/security.md lists the rights.';
  return [...shown, ...rest].map((each, index, all) =>
    index === all.length - 1 ? { ...each, hint } : each,
  );
}

function times(count: number): string {
  return count === 1 ? 'once' : `${count} times`;
}

function span(days: number): string {
  if (days >= 2) return `${Math.floor(days)} days`;
  return days >= HOUR_DAYS
    ? `${Math.floor(days * 24)} hours`
    : `${Math.floor(days * 1440)} minutes`;
}
