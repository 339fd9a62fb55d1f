//! Server-sent events.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::response::sse::{Event as Sent, KeepAlive, Sse};
use axum::routing::get;
use futures_util::stream::{self, Stream};
use tokio::sync::broadcast::error::RecvError;

use super::super::error::ApiError;
use super::super::server::ended;
use super::super::worker::Event;
use super::shared::{App, Shared};

/// Interval of comments that keep a connection open.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

pub fn routes() -> Router<Arc<Shared>> {
    Router::new().route("/events", get(events))
}

/// Changes of device and queue, and the progress of long requests.
#[utoipa::path(get, path = "/events", responses((status = 200, content_type = "text/event-stream", body = String,
    description = "`change` with a `Change`, `progress` with a `Progress`")), security(("token" = [])))]
pub async fn events(State(shared): App) -> Result<Sse<impl Stream<Item = Result<Sent, Infallible>>>, ApiError> {
    let events = shared.device.events();
    let now = shared.device.run(|controller| controller.change_event()).await?;
    let start = (Some(Event::Change(now)), events, shared.ending.clone());
    let stream = stream::unfold(start, |(first, mut events, ending)| async move {
        let event = match first {
            Some(event) => event,
            None => loop {
                tokio::select! {
                    // The end of the server ends the stream, so that it does not wait for it.
                    () = ended(ending.clone()) => return None,
                    event = events.recv() => match event {
                        Ok(event) => break event,
                        // The client was slow: the next event tells it the newest revision.
                        Err(RecvError::Lagged(_)) => {}
                        Err(RecvError::Closed) => return None,
                    },
                }
            },
        };
        Some((Ok(sent(event)), (None, events, ending)))
    });
    Ok(Sse::new(stream).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)))
}

fn sent(event: Event) -> Sent {
    let (name, json) = match event {
        Event::Change(change) => ("change", serde_json::to_string(&change)),
        Event::Progress(progress) => ("progress", serde_json::to_string(&progress)),
    };
    Sent::default().event(name).data(json.unwrap_or_default())
}
