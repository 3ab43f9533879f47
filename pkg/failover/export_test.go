package failover

// For tests outside of this package, which use failovertest.
var (
	JudgeServices = judgeServices
	Lies          = lies
	NewSSHPeers   = newSSHPeers
	LeaveAddress  = (*Node).leaveAddress
)
