//! Memory of large arrays in huge pages.
#![allow(unsafe_code)] // The system call is about memory that the vector owns.

/// Arrays from this size on are put into huge pages; smaller ones would waste a part of one.
#[cfg(target_os = "linux")]
const BYTES_MIN: usize = 8 << 20;

/// Makes `values` `len` long. If it has to grow, the earlier contents are lost, and a large array asks the system for huge pages: with pages of
/// 4 KiB a pass over the activations of a batch spends a tenth of its time on translating addresses.
pub(crate) fn resize(values: &mut Vec<f32>, len: usize) {
    if values.capacity() < len {
        *values = Vec::new();
        *values = Vec::with_capacity(len);
        advise(values);
    }
    values.resize(len, 0.0);
}

/// Before the first access, so that the pages do not exist yet. Without huge pages nothing changes.
#[cfg(target_os = "linux")]
fn advise(values: &mut Vec<f32>) {
    let page = rustix::param::page_size();
    let memory = values.spare_capacity_mut();
    let (start, bytes) = (memory.as_mut_ptr() as usize, size_of_val(memory));
    let (first, end) = (start.next_multiple_of(page), (start + bytes) / page * page);
    if bytes < BYTES_MIN || end <= first {
        return;
    }
    // SAFETY: the pages lie in the spare capacity of the vector; the advice changes their size, not their contents.
    let result =
        unsafe { rustix::mm::madvise(first as *mut std::ffi::c_void, end - first, rustix::mm::Advice::LinuxHugepage) };
    // A kernel without huge pages refuses, and small pages do as well.
    let _ = result;
}

#[cfg(not(target_os = "linux"))]
fn advise(_: &mut Vec<f32>) {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrays_grow_and_shrink() {
        let mut values = vec![1.0; 3];
        for len in [5, 2, 3 << 20, 7, 4 << 20] {
            resize(&mut values, len);
            assert_eq!(values.len(), len);
            values[len - 1] = 2.0;
        }
    }
}
