import { peerContract } from '../../../src/protocol/peer/contract.ts';
import { contractRules } from '../contract-rules.ts';

contractRules('mover that another host’s mover calls', peerContract);
