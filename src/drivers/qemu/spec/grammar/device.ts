import { deviceObstacle } from '../findings.ts';
import type { Scalar } from '../options.ts';
import { DEVICE_TYPES, isProcessor, propertiesOf } from './devices.ts';
import { ID, KINDS, isKind, misfit, type DeclaredIds } from './kinds.ts';
import { kindOfProperty } from './properties.ts';

export interface Wrong {
  readonly property?: string;
  readonly allowed: string;
}

/** Checks one device; without `known`, referenced ids are not looked up. Pure. */
export function judgeDevice(
  type: string,
  props: Readonly<Record<string, Scalar>>,
  known?: DeclaredIds,
): Wrong[] {
  const has = propertiesOf(type);
  if (has === undefined || deviceObstacle(type) !== undefined) {
    const allowed = `one of the ${DEVICE_TYPES.length} device types that Godwit knows`;
    return [{ allowed: deviceObstacle(type) ?? allowed }];
  }
  return Object.entries(props).flatMap(([property, value]) => {
    const allowed = judgeProperty(type, has, property, value, known);
    return allowed === undefined ? [] : [{ property, allowed }];
  });
}

function judgeProperty(
  type: string,
  has: ReadonlySet<string>,
  property: string,
  value: Scalar,
  known: DeclaredIds | undefined,
): string | undefined {
  if (property === 'bus') return misfit(KINDS.bus, value);
  if (isProcessor(type) && !has.has(property)) return judgeFeature(property, value);
  const name = kindOfProperty(property);
  if (!has.has(property)) return `a property that Godwit knows of ${type}`;
  if (isProcessor(type)) return misfit(KINDS.i32, value);
  if (!isKind(name)) return `a property that Godwit knows of ${type}`;
  return misfit(KINDS[name], value, known);
}

const CPU_TEXTS = new Set(['vendor', 'model-id', 'hv-vendor-id']);

/** Checks a processor setting by its name: a feature, a number or a text. */
export function judgeFeature(name: string, value: Scalar): string | undefined {
  if (!ID.test(name)) return 'the name of a feature';
  if (CPU_TEXTS.has(name)) return misfit(KINDS.text, value);
  return KINDS.auto.fits(value) || KINDS.u64.fits(value) ? undefined : 'on, off, auto or a number';
}
