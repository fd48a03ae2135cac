/** The parts of OTLP's JSON that traces need: https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding */

export type OtlpValue =
  | { readonly stringValue: string }
  | { readonly boolValue: boolean }
  /** 64 bits, text in JSON. */
  | { readonly intValue: string }
  | { readonly doubleValue: number };

export interface OtlpAttribute {
  readonly key: string;
  readonly value: OtlpValue;
}

export interface OtlpEvent {
  readonly timeUnixNano: string;
  readonly name: string;
  readonly attributes: readonly OtlpAttribute[];
}

export interface OtlpSpan {
  /** Hexadecimal, 16 and 8 bytes. */
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly name: string;
  readonly kind: number;
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
  readonly attributes: readonly OtlpAttribute[];
  readonly events: readonly OtlpEvent[];
  readonly status: { readonly code: number; readonly message?: string };
}

export const KIND_INTERNAL = 1;
export const STATUS = { unset: 0, ok: 1, error: 2 } as const;

export type Facts = Readonly<Record<string, string | number | boolean | undefined>>;

export function attributesOf(facts: Facts): OtlpAttribute[] {
  return Object.entries(facts).flatMap(([key, value]) =>
    value === undefined ? [] : [{ key, value: valueOf(value) }],
  );
}

function valueOf(value: string | number | boolean): OtlpValue {
  if (typeof value === 'string') return { stringValue: value };
  if (typeof value === 'boolean') return { boolValue: value };
  return Number.isSafeInteger(value) ? { intValue: String(value) } : { doubleValue: value };
}

/** Nanoseconds since 1970, as text, since a number is too imprecise. Pure. */
export function nanosOf(ms: number): string {
  return (BigInt(Math.round(ms * 1000)) * 1000n).toString();
}

export function requestOf(
  resource: Facts,
  scope: { readonly name: string; readonly version: string },
  spans: readonly OtlpSpan[],
): object {
  return {
    resourceSpans: [
      { resource: { attributes: attributesOf(resource) }, scopeSpans: [{ scope, spans }] },
    ],
  };
}
