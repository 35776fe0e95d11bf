//! A connection whose other side has to keep reading.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

/// Who takes at least this many bytes within the limit is not too slow.
const ENOUGH: usize = 64 << 10;

/// A connection that fails once its other side reads too slowly: bodies that wait for it are memory.
pub struct Patient<S> {
    inner: S,
    limit: Duration,
    /// Runs while there is something to write that the other side does not take.
    clock: Option<Pin<Box<Sleep>>>,
    /// Bytes taken since the clock was set.
    taken: usize,
}

impl<S> Patient<S> {
    /// With this patience.
    pub fn new(inner: S, limit: Duration) -> Patient<S> {
        Patient {
            inner,
            limit,
            clock: None,
            taken: 0,
        }
    }

    fn judge(
        &mut self,
        cx: &mut Context<'_>,
        wrote: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        match wrote {
            Poll::Ready(Ok(n)) => {
                self.taken = self.taken.saturating_add(n);
                if self.taken >= ENOUGH {
                    self.clock = None;
                    self.taken = 0;
                }
            }
            Poll::Ready(Err(_)) => {}
            Poll::Pending => {
                let limit = self.limit;
                let clock = self.clock.get_or_insert_with(|| {
                    self.taken = 0;
                    Box::pin(tokio::time::sleep_until(Instant::now() + limit))
                });
                if clock.as_mut().poll(cx).is_ready() {
                    return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
                }
            }
        }
        wrote
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Patient<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let wrote = Pin::new(&mut self.inner).poll_write(cx, buf);
        self.judge(cx, wrote)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let wrote = Pin::new(&mut self.inner).poll_write_vectored(cx, bufs);
        self.judge(cx, wrote)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Whoever flushes has written all there was.
        self.clock = None;
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    const LIMIT: Duration = Duration::from_secs(20);

    #[tokio::test(start_paused = true)]
    async fn who_does_not_read_is_cut_off_and_who_reads_slowly_but_enough_is_not() {
        let (ours, _theirs) = tokio::io::duplex(1000);
        let mut ours = Patient::new(ours, LIMIT);
        let began = Instant::now();
        let e = ours.write_all(&[0; 2000]).await.unwrap_err();
        assert_eq!(e.kind(), io::ErrorKind::TimedOut);
        assert!(began.elapsed() >= LIMIT && began.elapsed() < LIMIT * 2);

        for (piece, is_enough) in [(8 << 10, true), (1 << 10, false)] {
            let (ours, mut theirs) = tokio::io::duplex(1000);
            let reader = tokio::spawn(async move {
                let mut buf = vec![0; piece];
                while theirs.read_exact(&mut buf).await.is_ok() {
                    tokio::time::sleep(Duration::from_secs(2)).await;
                }
            });
            let mut ours = Patient::new(ours, LIMIT);
            let wrote = ours.write_all(&vec![0; 512 << 10]).await;
            assert_eq!(wrote.is_ok(), is_enough, "{piece}");
            drop(ours);
            reader.await.unwrap();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn time_between_answers_does_not_count() {
        let (ours, mut theirs) = tokio::io::duplex(1000);
        let reader = tokio::spawn(async move {
            let mut buf = [0; 1500];
            while theirs.read_exact(&mut buf).await.is_ok() {}
        });
        let mut ours = Patient::new(ours, LIMIT);
        for _ in 0..3 {
            ours.write_all(&[0; 1500]).await.unwrap();
            ours.flush().await.unwrap();
            tokio::time::sleep(LIMIT * 3).await;
        }
        drop(ours);
        reader.await.unwrap();
    }
}
