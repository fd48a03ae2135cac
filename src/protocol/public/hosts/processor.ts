import { z } from 'zod';
import { hostName, shortText } from '../../names.ts';
import { LOOKING, OTHER_HOST } from '../../route-errors.ts';
import { LIST_BYTES, route } from '../../route.ts';
import { name64 } from './host.ts';
import { unasked } from '../resolve.ts';

const features = z.array(name64).max(1024);

/** Processors that a hypervisor can give a guest, with one accelerator. */
export const processorOffer = z.object({
  driver: name64,
  version: name64,
  accelerator: name64,
  /** The vendor that a guest sees. */
  vendor: name64,
  /** Features of the best processor, without those that no software uses. */
  features,
  /** Fully supported models with their features there. */
  models: z.array(z.object({ name: name64, features })).max(512),
});
export type ProcessorOffer = z.infer<typeof processorOffer>;

const guestProcessor = z.object({
  guest: name64,
  driver: name64,
  accelerator: name64,
  vendor: name64,
  features,
});
export type GuestProcessor = z.infer<typeof guestProcessor>;

const MAX_GUESTS = 4096;

export const processorsAnswer = z.object({
  offers: z.array(processorOffer).max(64),
  guests: z.array(guestProcessor).max(MAX_GUESTS),
});
export type ProcessorsAnswer = z.infer<typeof processorsAnswer>;

/** The best processor that several hosts have in common. */
export const baseline = z.object({
  vendor: name64,
  /** Versioned, so that every hypervisor interprets it alike. */
  model: name64,
  features,
  /** Model and features for QEMU's `-cpu`. */
  argument: z.string().max(32_768),
});
export type Baseline = z.infer<typeof baseline>;

/** One answer per hypervisor and accelerator. */
export const baselineAnswer = z.object({
  baselines: z
    .array(
      z.object({
        driver: name64,
        accelerator: name64,
        baseline: baseline.optional(),
        why: shortText.optional(),
        hosts: z
          .array(
            z.object({
              host: hostName,
              version: name64,
              /** Features that guests on this host lose with the baseline. */
              loses: features,
            }),
          )
          .max(10_000),
        without: z.array(hostName).max(10_000),
        /** Reasons why the checked host cannot give the baseline; empty: it can. */
        short: z.array(shortText).max(64).optional(),
        guests: z
          .array(
            z.object({
              guest: name64,
              host: hostName,
              /** Features beyond the baseline; empty: it fits. */
              beyond: features,
              isForeign: z.boolean(),
            }),
          )
          .max(100_000),
      }),
    )
    .max(64),
  /** Hosts without an answer; the baseline does not include them. */
  missing: z.array(unasked).max(10_000),
});
export type BaselineAnswer = z.infer<typeof baselineAnswer>;

export const baselineRequest = z.object({
  hosts: z.array(hostName).min(1).max(1000).optional(),
  check: hostName.optional(),
});
export type BaselineRequest = z.infer<typeof baselineRequest>;

export const processorRoutes = {
  processors: route({
    method: 'GET',
    path: '/v1/processors',
    summary: 'Processors that this host can give to guests, and those that its guests have',
    access: 'viewer',
    answerBytes: LIST_BYTES,
    response: processorsAnswer,
    errors: LOOKING,
  }),
  baseline: route({
    method: 'POST',
    path: '/v1/baseline',
    summary: 'The greatest processor that several hosts have in common',
    access: 'viewer',
    answerBytes: LIST_BYTES,
    audited: 'never',
    body: baselineRequest,
    response: baselineAnswer,
    errors: [...LOOKING, ...OTHER_HOST, 'GODWIT_HOST_UNKNOWN', 'GODWIT_USAGE'],
  }),
};
