//! What a step queues as one graph of the driver.

use std::sync::Arc;

use candle_core::backend::BackendDevice;
use candle_core::cuda_backend::WrapErr;
use candle_core::cuda_backend::cudarc::driver::{CudaStream, result, sys, tape};
use candle_core::{CudaDevice, DType, Result, bail};

use super::super::{Arg, COPIED, Card, Room};
use super::call::Call;
use super::queue::Queue;

/// Bytes between the beginnings of uploads, at least.
const APART: usize = 16;

/// A graph of a step's calls, with what it is told anew each time.
pub(super) struct Captured {
    device: CudaDevice,
    graph: sys::CUgraph,
    whole: sys::CUgraphExec,
    /// Of each kernel its node; nothing for other calls.
    nodes: Vec<Option<sys::CUgraphNode>>,
    /// The bytes of all uploads, on the card and as they were last copied there.
    arena: Room,
    bytes: Vec<u8>,
}

impl Captured {
    /// The graph of calls, which are only noted for it.
    pub(super) fn new(queue: &Queue, calls: &mut [Call]) -> Result<Self> {
        let device = &queue.device;
        let len = gathered(calls).len();
        let arena = Card { device }.room(len, DType::U8)?;
        let mut captured = Self {
            device: device.clone(),
            graph: std::ptr::null_mut(),
            whole: std::ptr::null_mut(),
            nodes: Vec::with_capacity(calls.len()),
            arena,
            bytes: Vec::new(),
        };
        queue.lead(&queue.beside)?;
        let noted = captured.note(&queue.beside, calls);
        queue.lead_own().and(noted)?;
        // SAFETY: the graph was just made.
        unsafe {
            sys::cuGraphInstantiateWithFlags(&mut captured.whole, captured.graph, 0)
                .result()
                .w()?;
        }
        Ok(captured)
    }

    fn note(&mut self, beside: &Arc<CudaStream>, calls: &mut [Call]) -> Result<()> {
        let stream = beside.cu_stream();
        let alone = sys::CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_RELAXED;
        let _alone = tape::alone();
        // SAFETY: nothing else is on the stream, and what is noted there ends with this function.
        unsafe {
            result::stream::begin_capture(stream, alone).w()?;
            let noted = self.note_all(stream, calls);
            let graph = result::stream::end_capture(stream).w();
            if let Ok(graph) = graph {
                self.graph = graph;
            }
            noted?;
            graph?;
        }
        if self.graph.is_null() {
            bail!("the driver made no graph")
        }
        Ok(())
    }

    fn note_all(&mut self, stream: sys::CUstream, calls: &mut [Call]) -> Result<()> {
        let mut first = 0;
        for call in calls {
            let is_kernel = matches!(call, Call::Launch(_));
            match call {
                Call::Upload { to, bytes } => {
                    let Arg::At(from) = self.arena.from(first) else { unreachable!("an address") };
                    first += bytes.len().next_multiple_of(APART);
                    // SAFETY: the arena has the bytes of all uploads, one after the other.
                    unsafe { result::memcpy_dtod_async(*to, from, bytes.len(), stream).w()? };
                }
                call => call.queue(&self.device, stream)?,
            }
            self.nodes.push(is_kernel.then(|| last(stream)).transpose()?);
        }
        Ok(())
    }

    /// Queues the graph with the arguments and the bytes that calls have now.
    pub(super) fn launch(&mut self, calls: &mut [Call]) -> Result<()> {
        let stream = self.device.cuda_stream().cu_stream();
        for (call, node) in calls.iter_mut().zip(&self.nodes) {
            if let (Call::Launch(launch), Some(node)) = (call, node)
                && launch.is_new
            {
                launch.tell(self.whole, *node)?;
            }
        }
        let bytes = gathered(calls);
        if bytes != self.bytes {
            let Arg::At(to) = self.arena.at() else { unreachable!("an address") };
            for (at, piece) in bytes.chunks(COPIED).enumerate() {
                let to = to + (at * COPIED) as u64;
                // SAFETY: the arena has as many bytes.
                unsafe { result::memcpy_htod_async(to, piece, stream).w()? };
            }
            self.bytes = bytes;
        }
        // SAFETY: the graph is of this card, and its memory is of no one else.
        unsafe { result::graph::launch(self.whole, stream).w() }
    }
}

impl Drop for Captured {
    fn drop(&mut self) {
        // It may still run. Whatever is wrong with the card, the next who uses it is told.
        let _ = self.device.synchronize();
        // SAFETY: nobody has them any more.
        unsafe {
            if !self.whole.is_null() {
                let _ = result::graph::exec_destroy(self.whole);
            }
            if !self.graph.is_null() {
                let _ = result::graph::destroy(self.graph);
            }
        }
    }
}

/// The bytes of all uploads, one after the other.
fn gathered(calls: &[Call]) -> Vec<u8> {
    let mut all = Vec::new();
    for call in calls {
        if let Call::Upload { bytes, .. } = call {
            all.extend_from_slice(bytes);
            all.resize(all.len().next_multiple_of(APART), 0);
        }
    }
    all
}

/// The node that was noted last on a stream.
fn last(stream: sys::CUstream) -> Result<sys::CUgraphNode> {
    let mut status = sys::CUstreamCaptureStatus::CU_STREAM_CAPTURE_STATUS_NONE;
    let (mut nodes, mut edges, mut count) = (std::ptr::null(), std::ptr::null(), 0);
    // SAFETY: all that is written to outlives the call; the nodes are there until more is noted.
    unsafe {
        sys::cuStreamGetCaptureInfo_v3(
            stream,
            &mut status,
            std::ptr::null_mut(),
            std::ptr::null_mut(),
            &mut nodes,
            &mut edges,
            &mut count,
        )
        .result()
        .w()?;
        match count {
            1 => Ok(*nodes),
            _ => bail!("a call is {count} nodes of a graph side by side"),
        }
    }
}
