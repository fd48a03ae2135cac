import { isIP } from 'node:net';

/** `10.0.0.2,b.example.net`; `wrong` makes the error for anything but IP addresses and DNS names. */
export function listedAddresses(
  given: string | undefined,
  wrong: (what: string) => Error,
): string[] {
  const addresses = (given ?? '').split(',').filter((each) => each !== '');
  for (const each of addresses) {
    if (isIP(each) === 0 && !/^[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$/.test(each)) {
      throw wrong(`${each.slice(0, 80)} is neither an IP address nor a DNS name`);
    }
  }
  return addresses;
}
