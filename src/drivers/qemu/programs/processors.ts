import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import {
  processorOffer,
  type GuestProcessor,
  type ProcessorOffer,
} from '../../../protocol/public/hosts/processor.ts';
import { askProgram } from './one-shot-qemu.ts';
import { questionUser, factsKey, type BinaryOptions, type QemuProgram } from './binaries.ts';
import { readCpu } from '../guest/cpu.ts';
import type { QemuProcess } from '../guest/process.ts';
import { readKept, writeKept } from './answer-cache.ts';
import * as answers from '../qmp/answers.ts';
import type { QmpClient } from '../qmp/client.ts';
import { parseCommandLine } from '../spec/cmdline.ts';
import { DISPENSABLE, featureNames } from '../spec/cpu.ts';
import { cpuOption } from '../spec/machine.ts';

const OFFERS_MS = 20_000;
const MAX_MODELS = 512;

const kept = z.array(processorOffer).max(8);

export async function offersOf(
  program: QemuProgram,
  options: BinaryOptions,
  signal: AbortSignal,
): Promise<ProcessorOffer[]> {
  const key = await factsKey(program.binary, options);
  const file = path.join(options.cacheDir, `processors-${key}.json`);
  const known = await readKept(file, kept);
  if (known !== undefined) return known;
  const { binary, sandbox, version } = program;
  const question = { file: binary, host: options.host, deadlineMs: OFFERS_MS, sandbox };
  const as = await questionUser(options.user);
  const offers: ProcessorOffer[] = [];
  for (const accelerator of ['kvm', 'tcg'] as const) {
    if (program.features[accelerator] === undefined) continue;
    const found = await askProgram({ ...question, as, accelerator }, signal, askOffer);
    offers.push({ driver: 'qemu', version, accelerator, ...found });
  }
  await writeKept(file, offers);
  return offers;
}

export async function hostVendor(): Promise<string | undefined> {
  const text = await readFile('/proc/cpuinfo', 'utf8').catch(() => '');
  return /^vendor_id\s*: ?(.*)$/m.exec(text)?.[1];
}

async function askOffer(client: QmpClient, signal: AbortSignal) {
  const expand = async (name: string) => {
    const asked = { type: 'full', model: { name } };
    const { model } = await client.query(
      'query-cpu-model-expansion',
      asked,
      answers.cpuModel,
      signal,
    );
    return model.props;
  };
  const [best, definitions] = await Promise.all([
    expand('max'),
    client.query('query-cpu-definitions', {}, answers.cpuDefinitions, signal),
  ]);
  // A name without a version means a different processor per machine type. A model with missing features is not
  // provided.
  const given = definitions.filter(
    ({ name, 'unavailable-features': lacks = [] }) => /-v\d+$/.test(name) && lacks.length === 0,
  );
  const models = await Promise.all(
    given
      .slice(0, MAX_MODELS)
      .map(async ({ name }) => ({ name, features: offered(await expand(name)) })),
  );
  const { vendor } = best;
  return {
    vendor: typeof vendor === 'string' ? vendor : '',
    features: offered(best),
    models: models.toSorted((one, other) => (one.name < other.name ? -1 : 1)),
  };
}

const offered = (props: Readonly<Record<string, unknown>>): string[] =>
  featureNames(props).filter((feature) => !(feature in DISPENSABLE));

export async function readGuestProcessor(
  client: QmpClient,
  process: QemuProcess,
  guest: string,
  signal: AbortSignal,
): Promise<GuestProcessor> {
  const [kvm, cpus, slots] = await Promise.all([
    client.query('query-kvm', {}, answers.kvm, signal),
    client.query('query-cpus-fast', {}, answers.cpus, signal),
    client.query('query-hotpluggable-cpus', {}, answers.hotpluggableCpus, signal).catch(() => []),
  ]);
  const at = cpus[0]?.['qom-path'] ?? '/machine/unattached/device[0]';
  const type = slots.find((slot) => slot['qom-path'] === at)?.type ?? slots[0]?.type ?? '';
  const settings = cpuOption(parseCommandLine(process.argv));
  const { identity, features } = await readCpu(client, at, type, settings, signal);
  const accelerator = kvm.enabled ? 'kvm' : 'tcg';
  return {
    guest,
    driver: 'qemu',
    accelerator,
    vendor: String(identity['vendor'] ?? ''),
    features: features.filter((feature) => !(feature in DISPENSABLE)),
  };
}
