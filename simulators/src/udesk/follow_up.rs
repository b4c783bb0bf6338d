//! What follows from an operation that succeeded: events, call flows, background traffic.

use tokio_util::task::AbortOnDropHandle;

use super::{
    background_traffic,
    call_flow::CallFlow,
    center_handle::CenterHandle,
    deliveries::destination,
    operation::Operation,
    options::Tenant,
    simulator::{Center, Simulator},
};

/// Most call flows at once. A further call of 24 calls the customer and has no flow.
const MAX_CALL_FLOWS: usize = 100;

// === impl Simulator ===

impl Simulator {
    /// Dispatches the operation's events, and starts or stops what depends on the operation.
    pub(super) fn follow_up(&self, center: &mut Center, operation: &Operation) {
        self.dispatch_pending(center);
        if self.options.tenant == Tenant::Document {
            return;
        }
        match operation.number {
            18..=20 => self.subscriptions_changed(center),
            24 if has_receiver(center) => self.start_call_flow(center),
            _ => {}
        }
    }

    /// Drops the deliveries of subscriptions that ended, and starts or stops background traffic.
    fn subscriptions_changed(&self, center: &mut Center) {
        if let Some(state) = center.states.first() {
            center.deliveries.retain(&state.subscriptions);
        }
        if !has_receiver(center) {
            center.background_traffic = None;
        } else if let Some(period) = self.options.background_traffic
            && center.background_traffic.is_none()
        {
            let traffic = background_traffic::run(CenterHandle::new(self, center), period);
            center.background_traffic = Some(AbortOnDropHandle::new(tokio::spawn(traffic)));
        }
    }

    /// Starts the flow of the call that 24 just made.
    fn start_call_flow(&self, center: &mut Center) {
        while center.call_flows.try_join_next().is_some() {}
        let newest = center.states.first().and_then(|state| state.callbacks.back());
        if let Some(callback) = newest
            && center.call_flows.len() < MAX_CALL_FLOWS
        {
            let flow = CallFlow::of(callback).run(CenterHandle::new(self, center), self.options.pace);
            center.call_flows.spawn(flow);
        }
    }
}

/// Whether an enabled subscription has an address that can be posted to.
fn has_receiver(center: &Center) -> bool {
    let mut subscriptions = center.states.iter().flat_map(|state| &state.subscriptions);
    subscriptions.any(|one| one.enabled && destination(&one.callback).is_some())
}
