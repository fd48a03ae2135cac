/** From where the network hears a MAC, as its own switch records it: needs no capture. */
import { spawn } from 'node:child_process';
import { runCommand } from '../../../lab/command.ts';
import { inHost } from '../../../lab/entry.ts';
import { underlayAddress } from '../../../lab/plan.ts';
import type { World } from './world.ts';
import { until } from '../../until.ts';

/** An entry of our own: when its coming is seen, nothing that follows is missed. */
const MARK = '02:00:00:00:00:01';

export interface MacPlaces {
  /** The hosts from which the MAC was heard, in order, each as often as it changed. */
  heardFrom(): string[];
  close(): void;
}

/** Watches where frames with `mac` come from: at the switch's bridge, or at the client's end of the tunnels. */
export async function watchMac({ lab }: World, mac: string): Promise<MacPlaces> {
  const overlaid = lab.network === 'vxlan';
  const member = overlaid ? 'client' : 'switch';
  const [program = '', ...words] = inHost(lab, member, ['bridge', 'monitor', 'fdb']);
  const child = spawn(program, words, { stdio: ['ignore', 'pipe', 'inherit'] });
  let reported = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (reported += text));
  const close = (): void => void child.kill('SIGKILL');
  const place = overlaid
    ? ['dev', 'eth0', 'dst', underlayAddress('a'), 'self']
    : ['dev', 'lan-a', 'master', 'static'];
  const mark = (how: string): Promise<string> =>
    runCommand(inHost(lab, member, ['bridge', 'fdb', how, MARK, ...place]));
  try {
    await until('the record to be read', 20_000, async () => {
      await mark('add');
      await mark('del');
      return reported.includes(MARK) ? true : undefined;
    });
  } catch (error) {
    close();
    throw error;
  }
  const hosts = lab.hosts.map((host) => ({
    host,
    sign: overlaid ? `dst ${underlayAddress(host)} ` : `dev lan-${host} `,
  }));
  return {
    close,
    heardFrom: () => {
      const lines = reported.split('\n').filter((line) => line.startsWith(mac));
      const heard = lines.flatMap((line) =>
        hosts.flatMap(({ host, sign }) => (`${line} `.includes(sign) ? [host] : [])),
      );
      return heard.filter((host, index) => host !== heard[index - 1]);
    },
  };
}
