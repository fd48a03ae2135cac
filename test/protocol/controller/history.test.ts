import { historyRoutes } from '../../../src/protocol/controller/history.ts';
import { contractRules } from '../contract-rules.ts';

contractRules('history of a fleet', historyRoutes);
