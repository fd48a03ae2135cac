import type {
  Baseline,
  BaselineAnswer,
  BaselineRequest,
  GuestProcessor,
  ProcessorOffer,
  ProcessorsAnswer,
} from '../../protocol/public/hosts/processor.ts';

/** The best processor model that several hosts have in common. Pure. */

export type CpuOffer = Pick<ProcessorOffer, 'vendor' | 'features' | 'models'>;

export type NoBaseline = 'no-hosts' | 'vendors' | 'models';

const WHY: Readonly<Record<NoBaseline, string>> = {
  'no-hosts': 'no host offers one',
  vendors:
    'the hosts have processors of different vendors, between which no guest can move while it runs',
  models: 'the hosts have no versioned processor model in common',
};

/** A name without a version differs between machine types. */
const VERSIONED = /-v\d+$/;

/**
 * Named model with the most features that every host provides, plus all other common features. Independent of the
 * hosts' order.
 */
export function baselineOf(offers: readonly CpuOffer[]): Baseline | NoBaseline {
  const [first, ...others] = offers;
  if (first === undefined) return 'no-hosts';
  // Under KVM a guest sees its host's vendor, whatever the model.
  if (others.some(({ vendor }) => vendor !== first.vendor)) return 'vendors';
  const features = commonOf(offers.map((each) => each.features));
  const common = new Set(features);
  const able = commonOf(offers.map(({ models }) => models.map(({ name }) => name)))
    .filter((name) => VERSIONED.test(name))
    .map((name) => ({ name, stands: offers.map((each) => modelOf(each, name) ?? []) }))
    .filter(({ stands }) => stands.flat().every((feature) => common.has(feature)))
    .map(({ name, stands }) => ({ name, gives: commonOf(stands) }));
  const [best] = able.toSorted((one, two) => two.gives.length - one.gives.length);
  if (best === undefined) return 'models';
  const given = new Set(best.gives);
  const said = features.filter((feature) => !given.has(feature));
  // The model has no feature that a host lacks, so other features keep their defaults.
  const argument = [best.name, ...said.map((feature) => `${feature}=on`)].join(',');
  return { vendor: first.vendor, model: best.name, features, argument };
}

export function lostTo(
  { features }: Pick<Baseline, 'features'>,
  offer: { readonly features: readonly string[] },
): string[] {
  const kept = new Set(features);
  return offer.features.filter((each) => !kept.has(each)).toSorted();
}

export function shortOf(
  baseline: Pick<Baseline, 'model' | 'features'> & { readonly vendor?: string },
  offer: CpuOffer,
): string[] {
  const has = new Set(offer.features);
  const lacks = baseline.features.filter((feature) => !has.has(feature));
  const isForeign = baseline.vendor !== undefined && offer.vendor !== baseline.vendor;
  return [
    ...(isForeign ? [`its vendor is ${offer.vendor}`] : []),
    ...(modelOf(offer, baseline.model) === undefined ? [`it has no ${baseline.model}`] : []),
    ...(lacks.length === 0 ? [] : [`it lacks ${lacks.join(', ')}`]),
  ];
}

/** Parses `MODEL,FEATURE=on,...`; returns a sentence about an invalid part. */
export function readBaseline(
  argument: string,
  offers: readonly CpuOffer[],
): Pick<Baseline, 'model' | 'features'> | string {
  const [model = '', ...settings] = argument.split(',');
  if (!VERSIONED.test(model)) return `${model} is no model with a version, such as Nehalem-v1`;
  const features: string[] = [];
  for (const setting of settings) {
    const name = /^([a-z0-9.-]{1,64})=on$/.exec(setting)?.[1];
    if (name === undefined) return `${setting.slice(0, 80)} is not written FEATURE=on`;
    features.push(name);
  }
  const given = offers.flatMap((offer) => modelOf(offer, model) ?? []);
  return { model, features: [...new Set([...given, ...features])].toSorted() };
}

export interface HostProcessors {
  readonly host: string;
  readonly answer: ProcessorsAnswer | { readonly why: string };
}

/** Baselines of these hosts, and, if one is given, which hosts can provide `check`. */
export function baselinesOf(
  all: readonly HostProcessors[],
  { check }: Pick<BaselineRequest, 'check'>,
): BaselineAnswer {
  const reported = all.flatMap(({ host, answer }) =>
    'why' in answer ? [] : [{ host, ...answer }],
  );
  const offers = reported.flatMap(({ host, offers: own }) =>
    own.map((offer) => ({ host, ...offer })),
  );
  const kinds = Map.groupBy(offers, ({ driver, accelerator }) => `${driver} ${accelerator}`);
  const guests = reported.flatMap(({ host, guests: own }) =>
    own.map((each) => ({ host, ...each })),
  );
  return {
    baselines: [...kinds.values()].slice(0, 64).map((own) => {
      const [{ driver, accelerator }] = own as [(typeof own)[number]];
      const kept = own.filter(({ host }) => host !== check);
      const found = baselineOf(kept);
      const has = new Set(own.map(({ host }) => host));
      const without = reported.map(({ host }) => host).filter((host) => !has.has(host));
      const here = { driver, accelerator, without };
      if (typeof found === 'string') return { ...here, why: WHY[found], hosts: [], guests: [] };
      const checked = own.filter(({ host }) => host === check);
      const short = [...new Set(checked.flatMap((offer) => shortOf(found, offer)))].slice(0, 64);
      return {
        ...here,
        baseline: found,
        hosts: kept.map((offer) => ({
          host: offer.host,
          version: offer.version,
          loses: lostTo(found, offer),
        })),
        ...(check === undefined ? {} : { short: shortIn(short, checked.length, accelerator) }),
        guests: guests
          .filter((each) => each.driver === driver && each.accelerator === accelerator)
          .map((each) => fitOf(found, each)),
      };
    }),
    missing: all.flatMap(({ host, answer }) =>
      'why' in answer ? [{ host, why: answer.why }] : [],
    ),
  };
}

const shortIn = (short: string[], offers: number, accelerator: string): string[] =>
  offers === 0 ? [`it offers no ${accelerator}`] : short;

function fitOf(found: Baseline, { guest, host, ...own }: GuestProcessor & { host: string }) {
  return { guest, host, beyond: lostTo(found, own), isForeign: own.vendor !== found.vendor };
}

function modelOf({ models }: Pick<CpuOffer, 'models'>, name: string): string[] | undefined {
  return models.find((each) => each.name === name)?.features;
}

/** Sorted intersection. */
function commonOf(lists: readonly (readonly string[])[]): string[] {
  const [first = [], ...others] = lists.map((list) => new Set(list));
  return [...first].filter((each) => others.every((list) => list.has(each))).toSorted();
}
