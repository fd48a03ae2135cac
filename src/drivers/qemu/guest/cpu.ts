import { z } from 'zod';
import * as answers from '../qmp/answers.ts';
import type { QmpClient } from '../qmp/client.ts';
import { FEATURE_ALIASES, NON_FEATURES, modelOfType } from '../spec/cpu.ts';
import type { CpuFacts } from '../spec/facts.ts';
import type { Scalar } from '../spec/options.ts';
import { getScalar } from './qom.ts';

const IDENTITY = [
  'vendor',
  'family',
  'model',
  'stepping',
  'model-id',
  'level',
  'xlevel',
  'phys-bits',
];

/** Guest's view of its processor. Without `settings` (of -cpu) the feature names are omitted. */
export async function readCpu(
  client: QmpClient,
  cpuPath: string,
  cpuType: string,
  settings: ReadonlyMap<string, Scalar> | undefined,
  signal: AbortSignal,
): Promise<CpuFacts> {
  const model = modelOfType(cpuType);
  const words = await client.request(
    'qom-get',
    { path: cpuPath, property: 'feature-words' },
    signal,
  );
  const parsedWords = answers.featureWords.safeParse(words.ok ? words.value : []);
  const values = await Promise.all(
    IDENTITY.map((property) => getScalar(client, cpuPath, property, signal)),
  );
  const identity: Record<string, string | number> = {};
  for (const [index, property] of IDENTITY.entries()) {
    const value = values[index];
    if (typeof value === 'string' || typeof value === 'number') identity[property] = value;
  }
  return {
    model,
    identity,
    features:
      settings === undefined ? [] : await readFeatures(client, cpuPath, model, settings, signal),
    words: (parsedWords.success ? parsedWords.data : [])
      // Empty words carry no information; a newer QEMU has more words.
      .filter((word) => word.features !== 0)
      .map((word) => ({
        eax: word['cpuid-input-eax'],
        ecx: word['cpuid-input-ecx'] ?? 0,
        register: word['cpuid-register'],
        bits: word.features,
      })),
  };
}

/**
 * Names of enabled features: the expanded model minus the features that the accelerator lacks. One query instead
 * of four hundred; the destination verifies the result by the CPUID words.
 */
async function readFeatures(
  client: QmpClient,
  cpuPath: string,
  model: string,
  settings: ReadonlyMap<string, Scalar>,
  signal: AbortSignal,
): Promise<string[]> {
  const [expanded, unavailable] = await Promise.all([
    client.query(
      'query-cpu-model-expansion',
      { type: 'full', model: { name: model, props: Object.fromEntries(settings) } },
      answers.cpuModel,
      signal,
    ),
    client.request('qom-get', { path: cpuPath, property: 'unavailable-features' }, signal),
  ]);
  const lacking = z.array(z.string()).safeParse(unavailable.ok ? unavailable.value : []);
  const absent = new Set(lacking.success ? lacking.data : []);
  return Object.entries(expanded.model.props)
    .filter(([name, on]) => on === true && !absent.has(name))
    .map(([name]) => name)
    .filter((name) => !NON_FEATURES.test(name) && !FEATURE_ALIASES.test(name))
    .toSorted();
}
