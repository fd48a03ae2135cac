import { ERRORS } from '../../errors.ts';
import { defined } from '../../protocol/defined.ts';
import type { BaselineAnswer } from '../../protocol/public/hosts/processor.ts';
import { askAny } from '../connection/agent-set.ts';
import { printJson } from '../context.ts';
import { printable } from '../../words/style.ts';
import type { cpuSpec } from './policy-specs.ts';
import type { Run } from '../verb.ts';

/** A hypervisor lists each of its models when it is first asked. */
const ANSWER_MS = 60_000;
const MAX = 20;

type BaselineEntry = BaselineAnswer['baselines'][number];

export const run: Run<typeof cpuSpec> = async (input, context) => {
  const { hosts = [] } = input.args;
  const { candidate: check } = input.flags;
  const body = {
    ...(hosts.length === 0 ? {} : { hosts: [...hosts] }),
    ...defined({ check }),
  };
  const fleet = await context.connect(input.connection);
  try {
    const answer = await askAny(fleet, ({ api }) =>
      api.baseline({ body }, { deadlineMs: ANSWER_MS }),
    );
    if (input.json) printJson(context, answer);
    else context.out.write(baselineText(answer, check));
    return isShort(answer, check) ? ERRORS.GODWIT_BASELINE.exit : 0;
  } finally {
    fleet.close();
  }
};

/** A host without an answer counts as unable. */
function isShort({ baselines, missing }: BaselineAnswer, check: string | undefined): boolean {
  return (
    baselines.some(({ short = [] }) => short.length > 0) ||
    (check !== undefined && missing.some(({ host }) => host === check))
  );
}

function baselineText({ baselines, missing }: BaselineAnswer, check: string | undefined): string {
  const lines = baselines.flatMap((found) => ['', ...linesOf(found, check)]).slice(1);
  const silent = missing.map(({ host, why }) => `${host} gave no answer: ${printable(why)}`);
  if (baselines.length === 0) lines.push('No host reports which processors it can give.');
  return `${[...lines, ...silent].join('\n')}\n`;
}

function linesOf(found: BaselineEntry, check: string | undefined): string[] {
  const { driver, accelerator, baseline, why = '', hosts, without, short, guests } = found;
  const head = `${driver} with ${accelerator}:`;
  if (baseline === undefined) return [`${head} none, since ${printable(why)}`];
  const fits = guests.filter(({ beyond, isForeign }) => beyond.length === 0 && !isForeign);
  const others = guests.filter((each) => !fits.includes(each));
  return [
    head,
    `  -cpu ${printable(baseline.argument)}`,
    `  ${baseline.features.length} features; vendor ${printable(baseline.vendor)}`,
    ...hosts.map(
      ({ host, version, loses }) =>
        `  ${host}, ${driver} ${printable(version)}: ${loses.length === 0 ? 'loses nothing' : `loses ${featuresText(loses)}`}`,
    ),
    ...without.map((host) => `  ${host}: offers no ${driver} with ${accelerator}`),
    ...(short === undefined || check === undefined ? [] : [`  ${checkedText(check, short)}`]),
    ...(guests.length === 0 ? [] : [`  ${fits.length} of ${guests.length} guests fit`]),
    ...others.slice(0, MAX).map((each) => `  ${guestText(each)}`),
    ...(others.length > MAX ? [`  and ${others.length - MAX} more`] : []),
  ];
}

const checkedText = (host: string, short: readonly string[]): string =>
  short.length === 0
    ? `${host} can give it`
    : `${host} cannot give it: ${printable(short.join('; '))}`;

function guestText({ guest, host, beyond, isForeign }: BaselineEntry['guests'][number]): string {
  const why = isForeign ? 'has another vendor' : `has more: ${featuresText(beyond)}`;
  return `${printable(guest)} on ${host} ${why}`;
}

function featuresText(features: readonly string[]): string {
  const shown = features.slice(0, MAX).map(printable).join(', ');
  return features.length > MAX ? `${shown} and ${features.length - MAX} more` : shown;
}
