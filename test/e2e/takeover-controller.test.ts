import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { AgentGround, eventually } from './agent-ground.ts';
import { ControlledNode, KubeProxyOfNode, kubeProxyTraces } from './takeover.ts';

describe('taking over with the controller, under load', { timeout: 300_000 }, () => {
  it('keeps the DaemonSet off, gives it back as it was, takes over again, and gives back on delete', async () => {
    const ground = await AgentGround.create();
    const kubeProxy = new KubeProxyOfNode(ground);
    const node = new ControlledNode(ground, kubeProxy, { mode: 'iptables' });
    const untilReplaced = async () => {
      await node.untilCondition('Available=True/AllNodesReady');
      await node.untilCondition('KubeProxyReplaced=True/Replaced');
      assert.equal(kubeProxy.isRunning, false);
      const left = await kubeProxyTraces(ground);
      assert.deepEqual(left, ['KUBE-FIREWALL']);
      await ground.untilServing('nftables');
    };
    const untilReturned = async () => {
      await eventually('nothing of ours is left', async () => ((await ground.rules()) === '' ? true : undefined));
      await eventually('the DaemonSet is as it was', async () => {
        const { metadata } = await node.daemonSet();
        const isNoted = 'switchyard.dev/original-affinity' in (metadata.annotations ?? {});
        return !isNoted && (await node.affinity()) === undefined ? true : undefined;
      });
      assert.equal(kubeProxy.isRunning, true);
    };
    try {
      await node.begin();
      await kubeProxy.untilServing();
      await ground.startLoad();
      ground.startAgent({ withProfile: false });
      await node.setProfile({ mode: 'nftables' });
      await untilReplaced();
      await node.setProfile({ mode: 'nftables', kubeProxy: { policy: 'GiveBack' } });
      await node.untilCondition('Progressing=False/GivenBack');
      await untilReturned();
      await node.setProfile({ mode: 'nftables' });
      await untilReplaced();
      await node.deleteProfile();
      await node.untilGone();
      await untilReturned();
      const { attempts, lost, failed, resentSyns } = await ground.stopLoad();
      assert.deepEqual({ lost, resentSyns, failed }, { lost: 0, resentSyns: 0, failed: [] });
      assert.ok(attempts > 200, `${attempts} attempts`);
    } catch (error) {
      console.error((await ground.agentLog()).split('\n').slice(-40).join('\n'));
      throw error;
    } finally {
      await node.end();
      await kubeProxy.stop();
      await ground.destroy();
    }
  });

  it('says what to do where there is no DaemonSet, goes back in time, and takes over what was stopped by hand', async () => {
    const ground = await AgentGround.create();
    const kubeProxy = new KubeProxyOfNode(ground);
    const node = new ControlledNode(ground, kubeProxy, { mode: 'nftables' });
    try {
      kubeProxy.start({ mode: 'nftables' });
      await kubeProxy.untilServing();
      await node.begin({ hasDaemonSet: false });
      await ground.startLoad();
      ground.startAgent({ withProfile: false });
      await node.setProfile({ mode: 'iptables' }, { nodeDeadline: '8s' });
      await node.untilCondition('KubeProxyReplaced=False/NoDaemonSet');
      await eventually('the node has gone back', async () => {
        const { phase } = (await node.state())?.status?.attempt ?? {};
        return phase === 'RolledBack' && (await ground.iptablesChains()).length === 0 ? true : undefined;
      });
      assert.equal((await node.labels())['switchyard.dev/kube-proxy-replaced'], undefined);
      await kubeProxy.stop();
      await node.setProfile({ mode: 'iptables' }, { nodeDeadline: '60s', retryToken: 'stopped' });
      await node.untilCondition('Available=True/AllNodesReady');
      await eventually('nothing of kube-proxy is left', async () => {
        const left = await kubeProxyTraces(ground);
        return left.length === 0 ? true : undefined;
      });
      const { attempts, lost, failed, resentSyns } = await ground.stopLoad();
      assert.deepEqual({ lost, resentSyns, failed }, { lost: 0, resentSyns: 0, failed: [] });
      assert.ok(attempts > 200, `${attempts} attempts`);
    } catch (error) {
      console.error((await ground.agentLog()).split('\n').slice(-40).join('\n'));
      throw error;
    } finally {
      await node.end();
      await kubeProxy.stop();
      await ground.destroy();
    }
  });
});
