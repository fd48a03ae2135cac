import { z } from 'zod';

/** Devices to unplug before a guest's memory moves, and names of the destination's devices that it gets there. */

export const MAX_UNPLUGGED = 16;

export const deviceId = z
  .string()
  .regex(
    /^[A-Za-z][A-Za-z0-9._-]{0,127}$/,
    'the id of a device: a letter, then up to 127 of letters, digits, . _ -',
  );

export const unplugs = z
  .array(deviceId)
  .min(1)
  .max(MAX_UNPLUGGED)
  .refine((all) => new Set(all).size === all.length, 'each device once')
  .meta({ uniqueItems: true });
export type Unplugs = z.infer<typeof unplugs>;

/** Only the destination has the devices behind the names, which become device ids in the guest. */
export const plugs = unplugs;

/** `hostdev0,usb1`, as in a label. Undefined for an invalid or repeated id. */
export function readDevices(text: string): Unplugs | undefined {
  return unplugs.safeParse(text.split(',').map((each) => each.trim())).data;
}

/** The driver's data to plug a device in again. Opaque to the core. */
export const unplugged = z.object({
  device: deviceId,
  again: z
    .record(z.string().max(128), z.union([z.string().max(4096), z.number(), z.boolean()]))
    .refine((all) => Object.keys(all).length <= 512, 'too many properties'),
});
export type UnpluggedDevice = z.infer<typeof unplugged>;
