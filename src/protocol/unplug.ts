import { z } from 'zod';

/**
 * Devices that a guest is without while it moves, which are unplugged before its memory goes; and names of the destination’s
 * own that it gets there.
 */

/** Of one guest. */
export const MAX_UNPLUGGED = 16;

/** A device's id, as the guest's hypervisor takes it. */
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
  // What the refinement asks for, in the API's description.
  .meta({ uniqueItems: true });
export type Unplugs = z.infer<typeof unplugs>;

/** What such a name stands for, the destination alone knows. In the guest it is the device's id. */
export const plugs = unplugs;

/** `hostdev0,usb1`, as a label names them. Undefined where one is no id, or is named twice. */
export function readDevices(text: string): Unplugs | undefined {
  return unplugs.safeParse(text.split(',').map((each) => each.trim())).data;
}

/** What the driver needs to plug a device in again as it was. The core reads nothing in it. */
export const unplugged = z.object({
  device: deviceId,
  again: z
    .record(z.string().max(128), z.union([z.string().max(4096), z.number(), z.boolean()]))
    .refine((all) => Object.keys(all).length <= 512, 'too many properties'),
});
export type UnpluggedDevice = z.infer<typeof unplugged>;
