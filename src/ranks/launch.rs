//! Finds out whether a launcher of MPI started this process.

/// Variables in which launchers tell the number of processes: Open MPI's `mpirun`, that of MPICH and Intel MPI, and
/// MVAPICH.
const SIZES: [&str; 3] = ["OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "MV2_COMM_WORLD_SIZE"];

/// Number of processes that the launcher started; `None` if there was no launcher.
///
/// * `variable`: reads a variable of the environment
pub fn launched(variable: impl Fn(&str) -> Option<String>) -> Option<usize> {
    let size = |name: &str| variable(name)?.parse().ok();
    // `srun --mpi=pmix` tells a process its rank only; the number is Slurm's.
    let slurm = || variable("PMIX_RANK").and_then(|_| size("SLURM_NTASKS"));
    SIZES.iter().find_map(|name| size(name)).or_else(slurm)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn launchers_are_recognised_by_their_variables() {
        let found = |set: &[(&str, &str)]| {
            launched(|name| set.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()))
        };
        assert_eq!(found(&[]), None);
        assert_eq!(found(&[("OMPI_COMM_WORLD_SIZE", "4")]), Some(4));
        assert_eq!(found(&[("PMI_SIZE", "2")]), Some(2));
        assert_eq!(found(&[("PMIX_RANK", "0"), ("SLURM_NTASKS", "8")]), Some(8));
        assert_eq!(found(&[("SLURM_NTASKS", "8")]), None, "a batch job of Slurm that runs one process");
    }
}
