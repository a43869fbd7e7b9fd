package gate

// Noise is the largest change, as a positive share of the baseline, that noise alone
// may make of as many rounds as were measured: z of 3. CanSee is the same with all
// seven rounds of the gate. 0 where nothing is compared.
func (v *Verdict) Noise() float64 {
	if v.K == 0 || v.N == 0 || v.S == 0 || !v.Rule.Relative() {
		return 0
	}
	return v.share(zFail * v.S * errorFactor(v.K, min(v.N, maxBaseline)))
}
