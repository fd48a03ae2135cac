import { z } from 'zod';

/** Messages of a monitor. Unknown members are ignored, because QEMU may add some. */

export const greeting = z.object({
  QMP: z.object({
    version: z.object({
      qemu: z.object({ major: z.number(), minor: z.number(), micro: z.number() }),
      package: z.string().max(4096).default(''),
    }),
    capabilities: z.array(z.string().max(256)).max(64).default([]),
  }),
});
export type Greeting = z.infer<typeof greeting>;

export const failure = z.object({
  error: z.object({ class: z.string().max(256), desc: z.string() }),
  id: z.union([z.number(), z.string()]).optional(),
});

export const success = z.object({
  return: z.unknown(),
  id: z.union([z.number(), z.string()]),
});

export const event = z.object({
  event: z.string().max(256),
  data: z.record(z.string(), z.unknown()).default({}),
  timestamp: z.object({ seconds: z.number(), microseconds: z.number() }).optional(),
});
export type QmpEvent = z.infer<typeof event>;

export type QmpMessage =
  | { readonly kind: 'greeting'; readonly greeting: Greeting }
  | { readonly kind: 'event'; readonly event: QmpEvent }
  | { readonly kind: 'success'; readonly id: number | string; readonly value: unknown }
  | {
      readonly kind: 'failure';
      readonly id: number | string | undefined;
      readonly reason: string;
      readonly errorClass: string;
    };

export function parseMessage(line: string): QmpMessage | undefined {
  let json: unknown;
  try {
    json = JSON.parse(line);
  } catch {
    return undefined;
  }
  if (typeof json !== 'object' || json === null) return undefined;
  if ('event' in json) {
    const parsed = event.safeParse(json);
    return parsed.success ? { kind: 'event', event: parsed.data } : undefined;
  }
  if ('return' in json) {
    const parsed = success.safeParse(json);
    return parsed.success
      ? { kind: 'success', id: parsed.data.id, value: parsed.data.return }
      : undefined;
  }
  if ('error' in json) {
    const parsed = failure.safeParse(json);
    if (!parsed.success) return undefined;
    const { error, id } = parsed.data;
    return { kind: 'failure', id, reason: error.desc.slice(0, 2048), errorClass: error.class };
  }
  const parsed = greeting.safeParse(json);
  return parsed.success ? { kind: 'greeting', greeting: parsed.data } : undefined;
}

export function versionText(hello: Greeting): string {
  const { major, minor, micro } = hello.QMP.version.qemu;
  return `${major}.${minor}.${micro}`;
}
