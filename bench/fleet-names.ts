/** How bench/fleet names its hosts, and where each is: an address of the loopback of its own, all with one port. */
export const FLEET_PORT = 17_443;
export const SAMPLE_MS = 10_000;

export function hostNamed(index: number): string {
  return `host-${String(index).padStart(5, '0')}`;
}

export function indexOf(host: string): number {
  return Number(host.slice('host-'.length));
}

export function addressOf(index: number): string {
  return `127.${64 + (index >> 16)}.${(index >> 8) & 255}.${index & 255}`;
}

/** The host of an address; -1 for one that is none's. */
export function hostAt(address: string | undefined): number {
  const [first, second = 0, third = 0, fourth = 0] = (address ?? '')
    .replace(/^::ffff:/, '')
    .split('.')
    .map(Number);
  return first === 127 && second >= 64 ? ((second - 64) << 16) | (third << 8) | fourth : -1;
}
