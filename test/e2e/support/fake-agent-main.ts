/** Runs on a host of the lab in the place of its agent: says which versions it speaks, and misbehaves. */
import { createServer } from 'node:https';
import { splitAddress } from '../../../src/protocol/names.ts';
import { PROTOCOL_VERSIONS } from '../../../src/protocol/version.ts';
import { readCredentials, serverTls } from '../../../src/rpc/tls.ts';
import type { FakeAgent, Identity } from './peers.ts';

interface ProcessInput extends FakeAgent {
  readonly identity: Identity;
  readonly address: string;
  readonly name: string;
}

const given = JSON.parse(process.argv[2] ?? '') as ProcessInput;
const { identity, address, name, versions = PROTOCOL_VERSIONS, manner = 'none' } = given;
const credentials = readCredentials(identity.directory, identity.stem);
const noise = Buffer.alloc(1024 * 1024, '[');

const server = createServer(serverTls(credentials), (request, response) => {
  request.resume();
  response.on('error', () => {});
  if (request.url === '/hello') {
    response.end(JSON.stringify({ name, product: 'another', versions }));
  } else if (manner === 'shape') {
    response.end(JSON.stringify({ moverAddress: '$(reboot)', version: 'latest' }));
  } else if (manner === 'endless') {
    const more = (): void => {
      while (!response.destroyed && response.write(noise));
    };
    response.on('drain', more);
    more();
  } else {
    response.statusCode = 404;
    response.end('{}');
  }
});
const { host, port } = splitAddress(address);
server.listen({ host, port }, () => process.stdout.write('up\n'));
